{{ config(tags=['measure']) }}
-- Bands of the day sum to the open deals of the process (told by what came into the pipeline and left it); arrivals never fall,
-- and as many deals reach a stage as reach the next one, or more.
with bands as (
    select
        sales_process,
        date_on,
        sum(wip) as wip
    from {{ ref('rpt_cumulative_flow') }}
    where basis = 'reported'
    group by sales_process, date_on
),

first_day as (
    select min(date_on) as date_on from {{ ref('dim_date') }}
),

pipeline as (
    select
        movements.sales_process,
        greatest(cast(movements.moved_at as date), first_day.date_on) as date_on,
        sum(movements.count_change) as count_change
    from {{ ref('fct_pipeline_movements') }} as movements
    cross join first_day
    group by movements.sales_process, greatest(cast(movements.moved_at as date), first_day.date_on)
),

compared as (
    select
        bands.sales_process,
        bands.date_on,
        bands.wip,
        sum(coalesce(pipeline.count_change, 0)) over (
            partition by bands.sales_process
            order by bands.date_on
            rows unbounded preceding
        ) as open_deals
    from bands
    left join pipeline on bands.sales_process = pipeline.sales_process and bands.date_on = pipeline.date_on
),

ordered as (
    select
        sales_process,
        date_on,
        wip,
        first_arrivals_cumulative,
        reached_cumulative,
        lag(first_arrivals_cumulative) over stage as arrivals_the_day_before,
        lag(reached_cumulative) over stage as reached_the_day_before,
        lag(reached_cumulative) over stages_of_the_day as reached_the_stage_before
    from {{ ref('rpt_cumulative_flow') }}
    window
        stage as (partition by basis, sales_process, stage_name order by date_on),
        stages_of_the_day as (
            partition by basis, sales_process, date_on, reached_cumulative is null
            order by stage_order, stage_name
        )
)

select
    sales_process,
    date_on,
    'bands' as what
from compared
where wip <> open_deals
union all
select
    sales_process,
    date_on,
    'order' as what
from ordered
where
    wip < 0
    or first_arrivals_cumulative < arrivals_the_day_before
    or reached_cumulative < reached_the_day_before
    or reached_cumulative > reached_the_stage_before
    or first_arrivals_cumulative > reached_cumulative

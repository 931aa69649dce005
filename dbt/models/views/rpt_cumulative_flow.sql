with run as (
    select as_of from {{ ref('dim_run') }}
),

days as (
    select date_on from {{ ref('dim_date') }}
),

first_day as (
    select min(date_on) as date_on from days
),

visits as (
    select
        basis,
        opportunity_id,
        visit_seq,
        sales_process,
        stage_name,
        entered_at,
        exited_at,
        is_first_entry,
        is_closed_stage
    from {{ ref('fct_stage_visits') }}
    where is_mapped
),

-- the way to a win: a lost deal has gone no further
ladder as (
    select
        sales_process,
        stage_name,
        stage_order,
        step,
        step_rank,
        is_closed,
        is_won or not is_closed as is_on_the_way,
        row_number() over (partition by sales_process, is_won or not is_closed order by stage_order, stage_name) as rung
    from {{ ref('dim_stage') }}
),

reaching as (
    select
        visits.basis,
        visits.sales_process,
        visits.opportunity_id,
        visits.entered_at,
        ladder.rung,
        coalesce(max(ladder.rung) over (
            partition by visits.basis, visits.opportunity_id
            order by visits.visit_seq
            rows between unbounded preceding and 1 preceding
        ), 0) as rung_before
    from visits
    inner join ladder
        on visits.sales_process = ladder.sales_process and visits.stage_name = ladder.stage_name and ladder.is_on_the_way
),

events as (
    select
        basis,
        sales_process,
        stage_name,
        entered_at as happened_at,
        case when is_first_entry then 1 else 0 end as arrived,
        0 as reached,
        case when is_closed_stage then 0 else 1 end as wip_change
    from visits
    union all
    select
        basis,
        sales_process,
        stage_name,
        exited_at as happened_at,
        0 as arrived,
        0 as reached,
        -1 as wip_change
    from visits
    where exited_at is not null and not is_closed_stage
    union all
    select
        reaching.basis,
        reaching.sales_process,
        ladder.stage_name,
        reaching.entered_at as happened_at,
        0 as arrived,
        1 as reached,
        0 as wip_change
    from reaching
    inner join ladder
        on
            reaching.sales_process = ladder.sales_process
            and ladder.is_on_the_way
            and reaching.rung_before < ladder.rung
            and reaching.rung >= ladder.rung
),

-- what an import dates before the first day counts on the first day: open deals must add up
daily as (
    select
        events.basis,
        events.sales_process,
        events.stage_name,
        greatest(cast(events.happened_at as date), first_day.date_on) as date_on,
        sum(events.arrived) as arrivals,
        sum(events.reached) as reached,
        sum(events.wip_change) as wip_change
    from events
    cross join first_day
    group by events.basis, events.sales_process, events.stage_name, greatest(cast(events.happened_at as date), first_day.date_on)
),

bases as (
    select
        basis,
        sales_process,
        min(date_on) as first_on
    from daily
    group by basis, sales_process
),

gridded as (
    select
        days.date_on,
        bases.basis,
        bases.sales_process,
        ladder.stage_name,
        ladder.stage_order,
        ladder.step,
        ladder.step_rank,
        ladder.is_closed,
        ladder.is_on_the_way,
        coalesce(daily.arrivals, 0) as arrivals,
        coalesce(daily.reached, 0) as reached,
        coalesce(daily.wip_change, 0) as wip_change
    from bases
    inner join days on bases.first_on <= days.date_on
    inner join ladder on bases.sales_process = ladder.sales_process
    left join daily
        on
            bases.basis = daily.basis
            and bases.sales_process = daily.sales_process
            and ladder.stage_name = daily.stage_name
            and days.date_on = daily.date_on
)

select
    gridded.basis
    || ': ' || gridded.sales_process
    || ': ' || gridded.stage_name
    || ': ' || cast(gridded.date_on as {{ dbt.type_string() }}) as stage_day_key,
    gridded.date_on,
    gridded.basis,
    gridded.sales_process,
    gridded.stage_name,
    gridded.stage_order,
    gridded.step,
    gridded.step_rank,
    gridded.is_closed as is_closed_stage,
    cast(gridded.arrivals as bigint) as first_arrivals,
    cast(sum(gridded.arrivals) over so_far as bigint) as first_arrivals_cumulative,
    case when gridded.is_on_the_way then cast(sum(gridded.reached) over so_far as bigint) end as reached_cumulative,
    cast(sum(gridded.wip_change) over so_far as bigint) as wip,
    run.as_of
from gridded
cross join run
window so_far as (
    partition by gridded.basis, gridded.sales_process, gridded.stage_name
    order by gridded.date_on
    rows unbounded preceding
)

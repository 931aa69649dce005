{{ config(tags=['measure']) }}
-- What moved is what changed, per basis, week and process, in count, in money and in deals without an amount: opening + changes =
-- closing, and every week closes with as many deals as stand in open stages. Deal by deal, each that stands is
-- looked up in its last movement, in every 13th week back from the newest: one that is lost or doubled shows in all later ones.
with weeks as (
    select
        basis,
        sales_process,
        week_starts_on,
        max(opening_count) as opening_count,
        max(closing_count) as closing_count,
        max(opening_amount_corporate) as opening_amount,
        max(closing_amount_corporate) as closing_amount,
        max(closing_without_amount) as closing_without_amount,
        sum(count_change) as count_change,
        sum(amount_change_corporate) as amount_change,
        cast({{ dbt.dateadd('day', 7, 'week_starts_on') }} as timestamp) as week_ends_at,
        mod(dense_rank() over (order by week_starts_on desc), 13) = 1 as is_counted_anew
    from {{ ref('rpt_pipeline_movements') }}
    group by basis, sales_process, week_starts_on
),

standing as (
    select
        weeks.basis,
        weeks.sales_process,
        weeks.week_starts_on,
        weeks.week_ends_at,
        visits.opportunity_id
    from weeks
    inner join {{ ref('fct_stage_visits') }} as visits
        on
            weeks.basis = visits.basis
            and weeks.sales_process = visits.sales_process
            and weeks.week_ends_at > visits.entered_at
            and weeks.week_ends_at <= coalesce(visits.exited_at, {{ end_of_time() }})
    where weeks.is_counted_anew and visits.is_mapped and not visits.is_closed_stage
),

last_movements as (
    {%- for basis, model in (('reported', ref('fct_pipeline_movements')), ('defined', ref('fct_evidenced_movements'))) %}
    select
        '{{ basis }}' as basis,
        standing.sales_process,
        standing.week_starts_on,
        max(case when movements.is_open_after then movements.change_no end) = max(movements.change_no) as is_open,
        max_by(coalesce(movements.amount_corporate, 0), movements.change_no) as amount,
        max_by(case when movements.amount_corporate is null then 1 else 0 end, movements.change_no) as without_amount
    from standing
    inner join {{ model }} as movements
        on
            standing.opportunity_id = movements.opportunity_id
            and standing.sales_process = movements.sales_process
            and standing.week_ends_at > movements.moved_at
    where standing.basis = '{{ basis }}'
    group by standing.sales_process, standing.week_starts_on, standing.opportunity_id
    {{ 'union all' if not loop.last }}
    {%- endfor %}
),

counted as (
    select
        basis,
        sales_process,
        week_starts_on,
        count(*) as n_open,
        sum(amount) as amount,
        sum(without_amount) as n_without_amount
    from last_movements
    where is_open
    group by basis, sales_process, week_starts_on
),

visits as (
    select
        basis,
        sales_process,
        week_starts_on,
        sum(end_wip) as n_open
    from {{ ref('fct_stage_weeks') }}
    group by basis, sales_process, week_starts_on
)

select
    weeks.*,
    counted.n_open,
    counted.amount,
    counted.n_without_amount,
    visits.n_open as n_open_visits
from weeks
left join counted
    on
        weeks.basis = counted.basis
        and weeks.sales_process = counted.sales_process
        and weeks.week_starts_on = counted.week_starts_on
left join visits
    on
        weeks.basis = visits.basis
        and weeks.sales_process = visits.sales_process
        and weeks.week_starts_on = visits.week_starts_on
where
    weeks.opening_count + weeks.count_change <> weeks.closing_count
    or weeks.opening_amount + weeks.amount_change <> weeks.closing_amount
    or weeks.closing_count <> visits.n_open
    or (
        weeks.is_counted_anew
        and (
            weeks.closing_count <> coalesce(counted.n_open, 0)
            or weeks.closing_amount <> coalesce(counted.amount, 0)
            or weeks.closing_without_amount <> coalesce(counted.n_without_amount, 0)
        )
    )

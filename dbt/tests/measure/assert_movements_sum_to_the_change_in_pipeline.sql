{{ config(tags=['measure']) }}
-- What moved is what changed, per basis, week and process, in count, in money and in deals without an amount: the closing figures equal
-- a count of the deals as they stand after their last movement, and of the open stage visits, and opening + changes = closing.
with weeks as (
    select
        basis,
        sales_process,
        week_starts_on,
        min(week_starts_on) over () as first_week_on,
        max(opening_count) as opening_count,
        max(closing_count) as closing_count,
        max(opening_amount_corporate) as opening_amount,
        max(closing_amount_corporate) as closing_amount,
        max(closing_without_amount) as closing_without_amount,
        sum(count_change) as count_change,
        sum(amount_change_corporate) as amount_change,
        cast({{ dbt.dateadd('day', 7, 'week_starts_on') }} as timestamp) as week_ends_at
    from {{ ref('rpt_pipeline_movements') }}
    group by basis, sales_process, week_starts_on
),

states as (
    select
        *,
        coalesce(
            lead(moved_at) over (partition by basis, opportunity_id order by moved_at asc, change_no asc, is_open_after desc),
            {{ end_of_time() }}
        ) as until_at
    from (
        {%- for basis, model in (('reported', ref('fct_pipeline_movements')), ('defined', ref('fct_evidenced_movements'))) %}
        select distinct
            '{{ basis }}' as basis,
            opportunity_id,
            sales_process,
            change_no,
            moved_at,
            is_open_after,
            amount_corporate
        from {{ model }}
        {{ 'union all' if not loop.last }}
        {%- endfor %}
    ) as after_each_change
),

standing as (
    select
        weeks.basis,
        weeks.sales_process,
        weeks.week_starts_on,
        count(*) as n_open,
        sum(coalesce(states.amount_corporate, 0)) as amount,
        sum(case when states.amount_corporate is null then 1 else 0 end) as n_without_amount
    from weeks
    inner join states
        on
            weeks.basis = states.basis
            and weeks.sales_process = states.sales_process
            and weeks.week_ends_at > states.moved_at
            and weeks.week_ends_at <= states.until_at
    where states.is_open_after
    group by weeks.basis, weeks.sales_process, weeks.week_starts_on
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
    standing.n_open,
    standing.amount,
    visits.n_open as n_open_visits
from weeks
left join standing
    on
        weeks.basis = standing.basis
        and weeks.sales_process = standing.sales_process
        and weeks.week_starts_on = standing.week_starts_on
left join visits
    on
        weeks.basis = visits.basis
        and weeks.sales_process = visits.sales_process
        and weeks.week_starts_on = visits.week_starts_on
where
    weeks.opening_count + weeks.count_change <> weeks.closing_count
    or weeks.opening_amount + weeks.amount_change <> weeks.closing_amount
    or weeks.closing_count <> coalesce(standing.n_open, 0)
    or weeks.closing_amount <> coalesce(standing.amount, 0)
    or weeks.closing_without_amount <> coalesce(standing.n_without_amount, 0)
    or weeks.closing_count <> visits.n_open

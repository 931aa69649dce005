{%- set epoch = "cast('2000-01-01 00:00:00' as timestamp)" -%}
{%- set metrics = [
    {'name': 'arrivals', 'unit': 'deals', 'value': 'arrivals', 'n': 'arrivals', 'sparse_below': 1},
    {'name': 'closed', 'unit': 'deals', 'value': 'won + lost', 'n': 'won + lost', 'sparse_below': 1},
    {'name': 'won', 'unit': 'deals', 'value': 'won', 'n': 'won', 'sparse_below': 1},
    {'name': 'lost', 'unit': 'deals', 'value': 'lost', 'n': 'lost', 'sparse_below': 1},
    {'name': 'won_amount', 'unit': 'corporate currency', 'value': 'won_amount', 'n': 'won_with_amount', 'sparse_below': 1},
    {'name': 'win_rate', 'unit': 'share', 'value': 'cast(won as double) / nullif(won + lost, 0)', 'n': 'won + lost',
        'sparse_below': 5},
    {'name': 'slips', 'unit': 'movements', 'value': 'slips', 'n': 'slips', 'sparse_below': 1},
    {'name': 'month_slips', 'unit': 'movements', 'value': 'month_slips', 'n': 'month_slips', 'sparse_below': 1},
    {'name': 'moves_back', 'unit': 'movements', 'value': 'moves_back', 'n': 'moves_back', 'sparse_below': 1},
    {'name': 'wip', 'unit': 'deals', 'value': 'wip', 'n': 'wip', 'carries_over': true},
    {'name': 'wip_amount', 'unit': 'corporate currency', 'value': 'wip_amount', 'n': 'wip_with_amount', 'carries_over': true},
    {'name': 'wip_age', 'unit': 'days', 'value': 'wip_age_days', 'n': 'n_open', 'carries_over': true},
] -%}
with run as (
    select as_of from {{ ref('dim_run') }}
),

-- whole weeks only: the week of as_of is not over
weeks as (
    select
        week_starts_on,
        week_ends_at,
        row_number() over (order by week_starts_on) as period_no,
        row_number() over (order by week_starts_on desc) as weeks_ago
    from (
        select distinct
            dates.week_starts_on,
            cast({{ dbt.dateadd('day', 7, 'dates.week_starts_on') }} as timestamp) as week_ends_at
        from {{ ref('dim_date') }} as dates
        cross join run
        where {{ elapsed_days('cast(dates.week_starts_on as timestamp)', 'run.as_of') }} >= 7
    ) as whole_weeks
),

first_week as (
    select min(week_starts_on) as week_starts_on from weeks
),

movements as (
    select
        movements.*,
        greatest(movements.week_starts_on, first_week.week_starts_on) as in_week
    from {{ ref('fct_pipeline_movements') }} as movements
    cross join first_week
),

-- a deal's age in the pipeline counts from its arrival, and from its return where it was reopened
episodes as (
    select
        sales_process,
        in_week,
        count_change,
        case
            when count_change = 1 then moved_at
            else lag(moved_at) over (partition by opportunity_id order by moved_at asc, change_no asc, count_change desc)
        end as came_at
    from movements
    where count_change <> 0
),

came_in as (
    select
        sales_process,
        in_week,
        sum(count_change) as count_change,
        sum(count_change * {{ exact_seconds(epoch, 'came_at') }}) as came_seconds
    from episodes
    group by sales_process, in_week
),

moved as (
    select
        sales_process,
        in_week,
        sum(case when movement_kind in ('new', 'reopened', 'mapped') then 1 else 0 end) as arrivals,
        sum(case when movement_kind in ('won', 'won_directly') then 1 else 0 end) as won,
        sum(case when movement_kind in ('lost', 'lost_directly') then 1 else 0 end) as lost,
        sum(case when movement_kind in ('won', 'won_directly') then amount_corporate end) as won_amount,
        sum(case when movement_kind in ('won', 'won_directly') and amount_corporate is not null then 1 else 0 end) as won_with_amount,
        sum(case when movement_kind = 'pushed' then 1 else 0 end) as slips,
        sum(case when movement_kind = 'pushed' and is_to_a_later_month then 1 else 0 end) as month_slips,
        sum(case when movement_kind = 'back' then 1 else 0 end) as moves_back,
        sum(amount_change_corporate) as amount_change,
        sum(count_change - without_amount_change) as with_amount_change
    from movements
    group by sales_process, in_week
),

open_deals as (
    select
        sales_process,
        week_starts_on,
        sum(end_wip) as wip
    from {{ ref('fct_stage_weeks') }}
    group by sales_process, week_starts_on
),

processes as (
    select
        sales_process,
        min(in_week) as first_week_on
    from movements
    group by sales_process
),

weekly as (
    select
        processes.sales_process,
        weeks.week_starts_on,
        weeks.week_ends_at,
        weeks.period_no,
        weeks.weeks_ago,
        coalesce(moved.arrivals, 0) as arrivals,
        coalesce(moved.won, 0) as won,
        coalesce(moved.lost, 0) as lost,
        -- no win is no money; wins of unknown amount are unknown money
        case when coalesce(moved.won, 0) = 0 then 0 else moved.won_amount end as won_amount,
        coalesce(moved.won_with_amount, 0) as won_with_amount,
        coalesce(moved.slips, 0) as slips,
        coalesce(moved.month_slips, 0) as month_slips,
        coalesce(moved.moves_back, 0) as moves_back,
        coalesce(open_deals.wip, 0) as wip,
        sum(coalesce(came_in.count_change, 0)) over so_far as n_open,
        sum(coalesce(came_in.came_seconds, 0)) over so_far as came_seconds,
        sum(coalesce(moved.amount_change, 0)) over so_far as open_amount,
        sum(coalesce(moved.with_amount_change, 0)) over so_far as wip_with_amount
    from processes
    inner join weeks on processes.first_week_on <= weeks.week_starts_on
    left join moved on processes.sales_process = moved.sales_process and weeks.week_starts_on = moved.in_week
    left join came_in on processes.sales_process = came_in.sales_process and weeks.week_starts_on = came_in.in_week
    left join open_deals on processes.sales_process = open_deals.sales_process and weeks.week_starts_on = open_deals.week_starts_on
    window so_far as (partition by processes.sales_process order by weeks.week_starts_on rows unbounded preceding)
),

measured as (
    select
        *,
        case when n_open = 0 or wip_with_amount > 0 then open_amount end as wip_amount,
        cast(n_open * {{ exact_seconds(epoch, 'week_ends_at') }} - came_seconds as double)
        / nullif(n_open, 0) / 86400 as wip_age_days
    from weekly
),

series as (
    {%- for metric in metrics %}
    select
        sales_process,
        week_starts_on,
        period_no,
        weeks_ago,
        '{{ metric.name }}' as metric,
        {{ loop.index }} as metric_order,
        '{{ metric.unit }}' as unit,
        cast({{ metric.value }} as double) as value,
        cast({{ metric.n }} as bigint) as n,
        {{ metric.get('carries_over', false) | lower }} as carries_over,
        {{ metric.get('sparse_below', 0) }} as sparse_below
    from measured
    {{ 'union all' if not loop.last }}
    {%- endfor %}
)

select
    sales_process || ': ' || metric || ': ' || cast(week_starts_on as {{ dbt.type_string() }}) as flow_week_key,
    week_starts_on,
    sales_process,
    metric,
    cast(metric_order as integer) as metric_order,
    unit,
    value,
    n,
    cast(period_no as bigint) as period_no,
    cast(weeks_ago as bigint) as weeks_ago,
    carries_over,
    cast(sparse_below as integer) as sparse_below
from series

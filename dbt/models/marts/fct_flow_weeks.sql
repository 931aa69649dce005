{%- set epoch = "cast('2000-01-01 00:00:00' as timestamp)" -%}
{%- set metrics = [
    {'name': 'arrivals', 'unit': 'deals', 'value': 'arrivals', 'n': 'arrivals', 'sparse_below': 1},
    {'name': 'closed', 'unit': 'deals', 'value': 'won + lost', 'n': 'won + lost', 'sparse_below': 1},
    {'name': 'won', 'unit': 'deals', 'value': 'won', 'n': 'won', 'sparse_below': 1},
    {'name': 'lost', 'unit': 'deals', 'value': 'lost', 'n': 'lost', 'sparse_below': 1},
    {'name': 'won_amount', 'unit': 'corporate currency', 'value': 'won_amount', 'n': 'won_with_amount', 'sparse_below': 1,
        'reported_only': true},
    {'name': 'win_rate', 'unit': 'share', 'value': 'cast(won as double) / nullif(won + lost, 0)', 'n': 'won + lost',
        'sparse_below': 5},
    {'name': 'slips', 'unit': 'movements', 'value': 'slips', 'n': 'slips', 'sparse_below': 1,
        'reported_only': true},
    {'name': 'month_slips', 'unit': 'movements', 'value': 'month_slips', 'n': 'month_slips', 'sparse_below': 1,
        'reported_only': true},
    {'name': 'moves_back', 'unit': 'movements', 'value': 'moves_back', 'n': 'moves_back', 'sparse_below': 1},
    {'name': 'wip', 'unit': 'deals', 'value': 'wip', 'n': 'wip', 'carries_over': true},
    {'name': 'wip_amount', 'unit': 'corporate currency', 'value': 'wip_amount', 'n': 'wip_with_amount', 'carries_over': true,
        'reported_only': true},
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
            else lag(moved_at) over (partition by {{ deal_key('opportunity_id') }} order by moved_at asc, change_no asc, count_change desc)
        end as came_at
    from movements
    where count_change <> 0
),

-- as defined a deal arrives when its evidence first lets it count in an open stage, and again after each time that it did not
evidenced as (
    select
        sales_process,
        is_closed_stage,
        is_won_stage,
        entered_at,
        exited_at,
        exit_kind,
        is_arrival,
        max(case when is_arrival then entered_at end) over (
            partition by deal_key
            order by visit_seq
            rows unbounded preceding
        ) as came_at
    from (
        select
            *,
            not is_closed_stage and coalesce(
                lag(is_closed_stage) over (partition by deal_key order by visit_seq)
                or lag(exited_at) over (partition by deal_key order by visit_seq) < entered_at,
                true
            ) as is_arrival
        from (
            select
                {{ deal_key('opportunity_id') }} as deal_key,
                sales_process,
                visit_seq,
                is_closed_stage,
                is_won_stage,
                entered_at,
                exited_at,
                exit_kind
            from {{ ref('fct_stage_visits') }}
            where basis = 'defined' and is_mapped
        ) as keyed
    ) as visits
),

evidenced_events as (
    select
        sales_process,
        entered_at as moved_at,
        came_at,
        case when is_closed_stage then 0 else 1 end as count_change,
        case when is_arrival then 1 else 0 end as arrivals,
        case when is_won_stage then 1 else 0 end as won,
        case when is_closed_stage and not is_won_stage then 1 else 0 end as lost,
        0 as moves_back
    from evidenced
    union all
    select
        sales_process,
        exited_at as moved_at,
        came_at,
        -1 as count_change,
        0 as arrivals,
        0 as won,
        0 as lost,
        case when exit_kind = 'back' then 1 else 0 end as moves_back
    from evidenced
    where exited_at is not null and not is_closed_stage
),

evidenced_moved as (
    select
        events.sales_process,
        greatest(cast(date_trunc('week', events.moved_at) as date), first_week.week_starts_on) as in_week,
        sum(events.arrivals) as arrivals,
        sum(events.won) as won,
        sum(events.lost) as lost,
        sum(events.moves_back) as moves_back,
        sum(events.count_change) as count_change,
        sum(case when events.count_change = 0 then 0 else events.count_change * {{ exact_seconds(epoch, 'events.came_at') }} end)
            as came_seconds
    from evidenced_events as events
    cross join first_week
    group by events.sales_process, greatest(cast(date_trunc('week', events.moved_at) as date), first_week.week_starts_on)
),

came_in as (
    select
        'reported' as basis,
        sales_process,
        in_week,
        sum(count_change) as count_change,
        sum(count_change * {{ exact_seconds(epoch, 'came_at') }}) as came_seconds
    from episodes
    group by sales_process, in_week
    union all
    select
        'defined' as basis,
        sales_process,
        in_week,
        count_change,
        came_seconds
    from evidenced_moved
),

moved as (
    select
        'reported' as basis,
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
    union all
    select
        'defined' as basis,
        sales_process,
        in_week,
        arrivals,
        won,
        lost,
        null as won_amount,
        0 as won_with_amount,
        0 as slips,
        0 as month_slips,
        moves_back,
        0 as amount_change,
        0 as with_amount_change
    from evidenced_moved
),

open_deals as (
    select
        sales_process,
        week_starts_on,
        sum(end_wip) as wip
    from {{ ref('fct_stage_weeks') }}
    where basis = 'reported'
    group by sales_process, week_starts_on
),

processes as (
    select
        basis,
        sales_process,
        min(in_week) as first_week_on
    from moved
    group by basis, sales_process
),

-- another set of definitions makes another series: what governs figures, in force on each day that was audited
definition_sets as (
    select
        days.as_of_on,
        {{ names_in_order("days.definition_id || ' ' || cast(days.definition_version as " ~ dbt.type_string() ~ ")") }} as in_force
    from {{ ref('fct_definition_days') }} as days
    left join {{ ref('dim_definition') }} as definitions on days.definition_id = definitions.definition_id
    where
        days.scope = 'all'
        and days.mode = 'enforce'
        -- of one that has gone, the kind is not known any more
        and coalesce(definitions.kind, 'integrity') in ('integrity', 'stage_entry')
    group by days.as_of_on
),

definition_changes as (
    select distinct cast(date_trunc('week', as_of_on) as date) as changed_in_week
    from (
        select
            as_of_on,
            in_force <> lag(in_force) over (order by as_of_on) as is_changed
        from definition_sets
    ) as sets
    where is_changed
),

-- another stage map of a process makes another series in both bases
baseline_changes as (
    select
        processes.basis,
        processes.sales_process,
        changes.changed_in_week
    from processes
    cross join definition_changes as changes
    where processes.basis = 'defined'
    union
    select
        processes.basis,
        processes.sales_process,
        cast(date_trunc('week', changes.changed_at) as date) as changed_in_week
    from processes
    inner join {{ ref('stg_control__stage_map_change') }} as changes on processes.sales_process = changes.sales_process
),

baselines as (
    select
        processes.basis,
        processes.sales_process,
        weeks.week_starts_on,
        count(changes.changed_in_week) as baseline_no,
        max(changes.changed_in_week) as baseline_since_on
    from processes
    inner join weeks on processes.first_week_on <= weeks.week_starts_on
    left join baseline_changes as changes
        on
            processes.basis = changes.basis
            and processes.sales_process = changes.sales_process
            and weeks.week_starts_on >= changes.changed_in_week
    group by processes.basis, processes.sales_process, weeks.week_starts_on
),

weekly as (
    select
        processes.basis,
        processes.sales_process,
        baselines.baseline_no,
        baselines.baseline_since_on,
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
        case when processes.basis = 'reported' then coalesce(open_deals.wip, 0) else sum(coalesce(came_in.count_change, 0)) over so_far end
            as wip,
        sum(coalesce(came_in.count_change, 0)) over so_far as n_open,
        sum(coalesce(came_in.came_seconds, 0)) over so_far as came_seconds,
        sum(coalesce(moved.amount_change, 0)) over so_far as open_amount,
        sum(coalesce(moved.with_amount_change, 0)) over so_far as wip_with_amount
    from processes
    inner join weeks on processes.first_week_on <= weeks.week_starts_on
    inner join baselines
        on
            processes.basis = baselines.basis
            and processes.sales_process = baselines.sales_process
            and weeks.week_starts_on = baselines.week_starts_on
    left join moved
        on
            processes.basis = moved.basis
            and processes.sales_process = moved.sales_process
            and weeks.week_starts_on = moved.in_week
    left join came_in
        on
            processes.basis = came_in.basis
            and processes.sales_process = came_in.sales_process
            and weeks.week_starts_on = came_in.in_week
    left join open_deals on processes.sales_process = open_deals.sales_process and weeks.week_starts_on = open_deals.week_starts_on
    window so_far as (partition by processes.basis, processes.sales_process order by weeks.week_starts_on rows unbounded preceding)
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
        basis,
        sales_process,
        baseline_no,
        baseline_since_on,
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
    {%- if metric.get('reported_only') %}
    where basis = 'reported'
    {%- endif %}
    {{ 'union all' if not loop.last }}
    {%- endfor %}
)

select
    basis || ': ' || sales_process || ': ' || metric || ': ' || cast(week_starts_on as {{ dbt.type_string() }}) as flow_week_key,
    week_starts_on,
    basis,
    sales_process,
    metric,
    cast(metric_order as integer) as metric_order,
    unit,
    value,
    n,
    cast(period_no as bigint) as period_no,
    cast(weeks_ago as bigint) as weeks_ago,
    carries_over,
    cast(sparse_below as integer) as sparse_below,
    cast(baseline_no as bigint) as baseline_no,
    baseline_since_on
from series

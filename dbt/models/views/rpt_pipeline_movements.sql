with kinds as (
    {%- for kind in [
        'new', 'reopened', 'mapped', 'advanced', 'back', 'lateral', 'pulled_in', 'pushed', 'up', 'down', 'amount_known',
        'amount_unknown', 'revalued', 'won', 'lost', 'deleted', 'unmapped', 'unproven', 'won_directly', 'lost_directly',
    ] %}
    select
        {{ loop.index }} as kind_order,
        '{{ kind }}' as movement_kind
    {{ 'union all' if not loop.last }}
    {%- endfor %}
),

weeks as (
    select distinct week_starts_on from {{ ref('dim_date') }}
),

first_week as (
    select min(week_starts_on) as week_starts_on from weeks
),

-- what an import dates before the first week counts in the first week: open deals must add up
moved as (
    {%- for basis, model in (('reported', ref('fct_pipeline_movements')), ('defined', ref('fct_evidenced_movements'))) %}
    select
        '{{ basis }}' as basis,
        movements.sales_process,
        greatest(movements.week_starts_on, first_week.week_starts_on) as in_week,
        movements.movement_kind,
        count(*) as n_movements,
        count(distinct {{ deal_key('movements.opportunity_id') }}) as n_deals,
        sum(movements.count_change) as count_change,
        sum(movements.amount_change_corporate) as amount_change,
        sum(movements.without_amount_change) as without_amount_change,
        sum(movements.amount_corporate) as amount_moved
    from {{ model }} as movements
    cross join first_week
    group by movements.sales_process, greatest(movements.week_starts_on, first_week.week_starts_on), movements.movement_kind
    {{ 'union all' if not loop.last }}
    {%- endfor %}
),

processes as (
    select
        basis,
        sales_process,
        min(in_week) as first_week_on
    from moved
    group by basis, sales_process
),

gridded as (
    select
        weeks.week_starts_on,
        processes.basis,
        processes.sales_process,
        kinds.kind_order,
        kinds.movement_kind,
        coalesce(moved.n_movements, 0) as n_movements,
        coalesce(moved.n_deals, 0) as n_deals,
        coalesce(moved.count_change, 0) as count_change,
        coalesce(moved.amount_change, 0) as amount_change,
        coalesce(moved.without_amount_change, 0) as without_amount_change,
        case when moved.n_movements is null then 0 else moved.amount_moved end as amount_moved
    from processes
    inner join weeks on processes.first_week_on <= weeks.week_starts_on
    cross join kinds
    left join moved
        on
            processes.basis = moved.basis
            and processes.sales_process = moved.sales_process
            and weeks.week_starts_on = moved.in_week
            and kinds.movement_kind = moved.movement_kind
),

running as (
    select
        *,
        sum(count_change) over so_far - sum(count_change) over this_week as opening_count,
        sum(count_change) over so_far as closing_count,
        sum(amount_change) over so_far - sum(amount_change) over this_week as opening_amount,
        sum(amount_change) over so_far as closing_amount,
        sum(without_amount_change) over so_far as closing_without_amount
    from gridded
    window
        -- every kind of the week is a peer: all of them count
        so_far as (partition by basis, sales_process order by week_starts_on range unbounded preceding),
        this_week as (partition by basis, sales_process, week_starts_on)
)

select
    running.basis
    || ': ' || running.sales_process
    || ': ' || cast(running.week_starts_on as {{ dbt.type_string() }})
    || ': ' || running.movement_kind as week_kind_key,
    running.week_starts_on,
    running.basis,
    running.sales_process,
    running.movement_kind,
    cast(running.kind_order as integer) as kind_order,
    cast(running.n_movements as bigint) as n_movements,
    cast(running.n_deals as bigint) as n_deals,
    cast(running.count_change as bigint) as count_change,
    cast(running.amount_change as decimal(28, 2)) as amount_change_corporate,
    cast(running.without_amount_change as bigint) as without_amount_change,
    cast(running.amount_moved as decimal(28, 2)) as amount_moved_corporate,
    cast(running.opening_count as bigint) as opening_count,
    cast(running.closing_count as bigint) as closing_count,
    cast(running.opening_amount as decimal(28, 2)) as opening_amount_corporate,
    cast(running.closing_amount as decimal(28, 2)) as closing_amount_corporate,
    cast(running.closing_without_amount as bigint) as closing_without_amount,
    {{ elapsed_days('cast(running.week_starts_on as timestamp)', 'run.as_of') }} >= 7 as is_whole_week,
    run.as_of
from running
cross join {{ ref('dim_run') }} as run

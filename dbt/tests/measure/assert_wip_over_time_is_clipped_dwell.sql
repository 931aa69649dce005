{{ config(tags=['measure']) }}
-- Little's law in its exact form: the integral of the published WIP over a month is the sum of the times that deals spent in the
-- stage, clipped to the month, to the microsecond. A day's integral is its last level times its length, less what each change of
-- the day had not yet changed before it happened.
with run as (
    select as_of from {{ ref('dim_run') }}
),

visits as (
    select
        visits.basis,
        visits.sales_process,
        visits.stage_name,
        visits.entered_at,
        visits.exited_at,
        coalesce(visits.exited_at, run.as_of) as left_at
    from {{ ref('fct_stage_visits') }} as visits
    cross join run
    where visits.is_mapped and not visits.is_closed_stage
),

months as (
    select
        dates.month_starts_on,
        cast(min(dates.date_on) as timestamp) as starts_at,
        least(cast({{ dbt.dateadd('day', 1, 'max(dates.date_on)') }} as timestamp), min(run.as_of)) as ends_at
    from {{ ref('dim_date') }} as dates
    cross join run
    group by dates.month_starts_on
),

dwell as (
    select
        visits.basis,
        visits.sales_process,
        visits.stage_name,
        months.month_starts_on,
        sum(
            {{ elapsed_microseconds('greatest(visits.entered_at, months.starts_at)', 'least(visits.left_at, months.ends_at)') }}
        ) as dwell_microseconds
    from visits
    inner join months on visits.entered_at < months.ends_at and visits.left_at > months.starts_at
    group by visits.basis, visits.sales_process, visits.stage_name, months.month_starts_on
),

levels as (
    select
        flow.basis,
        flow.sales_process,
        flow.stage_name,
        cast(date_trunc('month', flow.date_on) as date) as month_starts_on,
        sum(flow.wip * {{ elapsed_microseconds(
            'cast(flow.date_on as timestamp)',
            'least(cast(' ~ dbt.dateadd('day', 1, 'flow.date_on') ~ ' as timestamp), run.as_of)'
        ) }}) as level_microseconds
    from {{ ref('rpt_cumulative_flow') }} as flow
    cross join run
    where not flow.is_closed_stage
    group by flow.basis, flow.sales_process, flow.stage_name, date_trunc('month', flow.date_on)
),

changes as (
    select
        basis,
        sales_process,
        stage_name,
        entered_at as changed_at,
        1 as wip_change
    from visits
    union all
    select
        basis,
        sales_process,
        stage_name,
        exited_at as changed_at,
        -1 as wip_change
    from visits
    where exited_at is not null
),

-- what happened before the first day counts from its start
not_yet as (
    select
        changes.basis,
        changes.sales_process,
        changes.stage_name,
        cast(date_trunc('month', changes.changed_at) as date) as month_starts_on,
        sum(
            changes.wip_change * {{ elapsed_microseconds("date_trunc('day', changes.changed_at)", 'changes.changed_at') }}
        ) as before_microseconds
    from changes
    where changes.changed_at >= (select min(months.starts_at) from months)
    group by changes.basis, changes.sales_process, changes.stage_name, date_trunc('month', changes.changed_at)
),

integrals as (
    select
        levels.basis,
        levels.sales_process,
        levels.stage_name,
        levels.month_starts_on,
        levels.level_microseconds - coalesce(not_yet.before_microseconds, 0) as wip_microseconds
    from levels
    left join not_yet
        on
            levels.basis = not_yet.basis
            and levels.sales_process = not_yet.sales_process
            and levels.stage_name = not_yet.stage_name
            and levels.month_starts_on = not_yet.month_starts_on
)

select
    coalesce(integrals.basis, dwell.basis) as basis,
    coalesce(integrals.sales_process, dwell.sales_process) as sales_process,
    coalesce(integrals.stage_name, dwell.stage_name) as stage_name,
    coalesce(integrals.month_starts_on, dwell.month_starts_on) as month_starts_on,
    integrals.wip_microseconds,
    dwell.dwell_microseconds
from integrals
full outer join dwell
    on
        integrals.basis = dwell.basis
        and integrals.sales_process = dwell.sales_process
        and integrals.stage_name = dwell.stage_name
        and integrals.month_starts_on = dwell.month_starts_on
where coalesce(integrals.wip_microseconds, 0) <> coalesce(dwell.dwell_microseconds, 0)

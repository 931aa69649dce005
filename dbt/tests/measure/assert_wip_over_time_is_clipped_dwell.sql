{{ config(tags=['measure']) }}
-- Little's law in its exact form: the integral of the published WIP over a month is the sum of the times that deals spent in the
-- stage, clipped to the month, to the microsecond. A day's integral is its last level times its length, less what each change of
-- the day had not yet changed before it happened.
with run as (
    select as_of from {{ ref('dim_run') }}
),

-- millions of visits are grouped: by the number of basis, process and stage
stages as (
    select
        basis,
        sales_process,
        stage_name,
        row_number() over (order by basis, sales_process, stage_name) as line_no
    from {{ ref('fct_stage_visits') }}
    where is_mapped and not is_closed_stage
    group by basis, sales_process, stage_name
),

visits as (
    select
        stages.line_no,
        visits.entered_at,
        visits.exited_at,
        coalesce(visits.exited_at, run.as_of) as left_at
    from {{ ref('fct_stage_visits') }} as visits
    inner join stages
        on visits.basis = stages.basis and visits.sales_process = stages.sales_process and visits.stage_name = stages.stage_name
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
        visits.line_no,
        months.month_starts_on,
        sum(
            {{ elapsed_microseconds('greatest(visits.entered_at, months.starts_at)', 'least(visits.left_at, months.ends_at)') }}
        ) as dwell_microseconds
    from visits
    inner join months on visits.entered_at < months.ends_at and visits.left_at > months.starts_at
    group by visits.line_no, months.month_starts_on
),

levels as (
    select
        stages.line_no,
        cast(date_trunc('month', flow.date_on) as date) as month_starts_on,
        sum(flow.wip * {{ elapsed_microseconds(
            'cast(flow.date_on as timestamp)',
            'least(cast(' ~ dbt.dateadd('day', 1, 'flow.date_on') ~ ' as timestamp), run.as_of)'
        ) }}) as level_microseconds
    from {{ ref('rpt_cumulative_flow') }} as flow
    left join stages
        on flow.basis = stages.basis and flow.sales_process = stages.sales_process and flow.stage_name = stages.stage_name
    cross join run
    where not flow.is_closed_stage
    group by stages.line_no, date_trunc('month', flow.date_on)
),

changes as (
    select
        line_no,
        entered_at as changed_at,
        1 as wip_change
    from visits
    union all
    select
        line_no,
        exited_at as changed_at,
        -1 as wip_change
    from visits
    where exited_at is not null
),

-- what happened before the first day counts from its start
not_yet as (
    select
        changes.line_no,
        cast(date_trunc('month', changes.changed_at) as date) as month_starts_on,
        sum(
            changes.wip_change * {{ elapsed_microseconds("date_trunc('day', changes.changed_at)", 'changes.changed_at') }}
        ) as before_microseconds
    from changes
    where changes.changed_at >= (select min(months.starts_at) from months)
    group by changes.line_no, date_trunc('month', changes.changed_at)
),

integrals as (
    select
        levels.line_no,
        levels.month_starts_on,
        levels.level_microseconds - coalesce(not_yet.before_microseconds, 0) as wip_microseconds
    from levels
    left join not_yet
        on
            levels.line_no = not_yet.line_no
            and levels.month_starts_on = not_yet.month_starts_on
)

select
    coalesce(integrals.line_no, dwell.line_no) as line_no,
    coalesce(integrals.month_starts_on, dwell.month_starts_on) as month_starts_on,
    integrals.wip_microseconds,
    dwell.dwell_microseconds
from integrals
full outer join dwell
    on
        integrals.line_no = dwell.line_no
        and integrals.month_starts_on = dwell.month_starts_on
where coalesce(integrals.wip_microseconds, 0) <> coalesce(dwell.dwell_microseconds, 0)

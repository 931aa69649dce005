with run as (
    select as_of from {{ ref('dim_run') }}
),

days as (
    select date_on from {{ ref('dim_date') }}
),

first_day as (
    select min(date_on) as date_on from days
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
        cast(row_number() over (order by sales_process, stage_order, stage_name) as integer) as stage_no
    from {{ ref('dim_stage') }}
),

-- millions of visits are counted: stages by number
visits as (
    select
        visits.basis = 'defined' as is_defined,
        ladder.stage_no,
        ladder.stage_order,
        ladder.is_on_the_way,
        coalesce(visits.furthest_order_before, 0) as furthest_order_before,
        cast(visits.entered_at as date) as entered_on,
        case when not visits.is_closed_stage then cast(visits.exited_at as date) end as exited_on,
        case when visits.is_first_entry then 1 else 0 end as arrived,
        case when visits.is_closed_stage then 0 else 1 end as came,
        ladder.sales_process
    from {{ ref('fct_stage_visits') }} as visits
    inner join ladder on visits.sales_process = ladder.sales_process and visits.stage_name = ladder.stage_name
    where visits.is_mapped
),

-- every stage that an entry is the first to reach, itself and those passed over
reached as (
    select
        visits.is_defined,
        ladder.stage_no,
        visits.entered_on,
        count(*) as n
    from visits
    inner join ladder
        on
            visits.sales_process = ladder.sales_process
            and visits.furthest_order_before < ladder.stage_order
            and visits.stage_order >= ladder.stage_order
    where visits.is_on_the_way and ladder.is_on_the_way
    group by visits.is_defined, ladder.stage_no, visits.entered_on
),

events as (
    select
        is_defined,
        stage_no,
        entered_on as happened_on,
        sum(arrived) as arrived,
        0 as reached,
        sum(came) as wip_change
    from visits
    group by is_defined, stage_no, entered_on
    union all
    select
        is_defined,
        stage_no,
        exited_on as happened_on,
        0 as arrived,
        0 as reached,
        -count(*) as wip_change
    from visits
    where exited_on is not null
    group by is_defined, stage_no, exited_on
    union all
    select
        is_defined,
        stage_no,
        entered_on as happened_on,
        0 as arrived,
        n as reached,
        0 as wip_change
    from reached
),

-- what an import dates before the first day counts on the first day: open deals must add up
daily as (
    select
        case when events.is_defined then 'defined' else 'reported' end as basis,
        ladder.sales_process,
        ladder.stage_name,
        greatest(events.happened_on, first_day.date_on) as date_on,
        sum(events.arrived) as arrivals,
        sum(events.reached) as reached,
        sum(events.wip_change) as wip_change
    from events
    inner join ladder on events.stage_no = ladder.stage_no
    cross join first_day
    group by events.is_defined, ladder.sales_process, ladder.stage_name, greatest(events.happened_on, first_day.date_on)
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

with run as (
    select
        as_of,
        minimum_n
    from {{ ref('stg_control__run') }}
),

-- whole weeks only: the week of as_of is not over
weeks as (
    select distinct
        dates.week_starts_on,
        cast({{ dbt.dateadd('day', 7, 'dates.week_starts_on') }} as timestamp) as week_ends_at,
        run.minimum_n
    from {{ ref('dim_date') }} as dates
    cross join run
    where {{ elapsed_days('cast(dates.week_starts_on as timestamp)', 'run.as_of') }} >= 7
),

-- millions of visits are grouped and sorted: by the number of basis, process and stage
stages as (
    select
        basis,
        sales_process,
        stage_name,
        min(location) as location,
        min(stage_order) as stage_order,
        min(entered_at) as first_entered_at,
        cast(row_number() over (order by basis, sales_process, stage_name) as integer) as line_no
    from {{ ref('fct_stage_visits') }}
    where is_mapped and not is_closed_stage
    group by basis, sales_process, stage_name
),

visits as (
    select
        stages.line_no,
        visits.entered_at,
        visits.exited_at,
        case when visits.exited_at is null then null when visits.exit_kind in ('deleted', 'merged') then 0 else 1 end as resolved,
        case when visits.exit_kind in ('advanced', 'won') then 1 else 0 end as went_on,
        case when visits.exit_kind not in ('deleted', 'merged') and not visits.is_start_imputed then visits.days_in_stage end
            as days_in_stage
    from {{ ref('fct_stage_visits') }} as visits
    inner join stages
        on
            visits.basis = stages.basis
            and visits.sales_process = stages.sales_process
            and visits.stage_name = stages.stage_name
    where visits.is_mapped and not visits.is_closed_stage
),

first_week as (
    select min(week_starts_on) as week_starts_on from weeks
),

-- what an import dates before the first week counts in the first week: open deals must add up
arrived as (
    select
        visits.line_no,
        greatest(cast(date_trunc('week', visits.entered_at) as date), first_week.week_starts_on) as week_starts_on,
        count(*) as arrivals
    from visits
    cross join first_week
    group by visits.line_no, greatest(cast(date_trunc('week', visits.entered_at) as date), first_week.week_starts_on)
),

closed as (
    select
        visits.line_no,
        greatest(cast(date_trunc('week', visits.exited_at) as date), first_week.week_starts_on) as week_starts_on,
        visits.resolved,
        visits.went_on,
        visits.days_in_stage
    from visits
    cross join first_week
    where visits.exited_at is not null
),

exited as (
    select
        line_no,
        week_starts_on,
        count(*) as exits,
        sum(resolved) as resolved,
        sum(went_on) as went_on
    from closed
    group by line_no, week_starts_on
),

-- p85 of all visits closed so far, week by week: in order of length they fall into classes of about the square root of their number;
-- counts of classes tell which one holds the percentile of a week, and only its visits are put in order for that week
closed_visits as (
    select
        line_no,
        week_starts_on,
        days_in_stage,
        cast(floor((place - 1) / sqrt(n)) as integer) as class_no
    from (
        select
            line_no,
            week_starts_on,
            days_in_stage,
            row_number() over (partition by line_no order by days_in_stage) as place,
            count(*) over (partition by line_no) as n
        from closed
        where days_in_stage is not null
    ) as ordered
),

closed_in_week as (
    select
        line_no,
        week_starts_on,
        class_no,
        count(*) as n
    from closed_visits
    group by line_no, week_starts_on, class_no
),

weeks_closed as (
    select distinct
        line_no,
        week_starts_on
    from closed_in_week
),

classes as (
    select distinct
        line_no,
        class_no
    from closed_in_week
),

class_weeks as (
    select
        weeks_closed.line_no,
        weeks_closed.week_starts_on,
        classes.class_no,
        coalesce(closed_in_week.n, 0) as n
    from weeks_closed
    inner join classes
        on
            weeks_closed.line_no = classes.line_no
    left join closed_in_week
        on
            weeks_closed.line_no = closed_in_week.line_no
            and weeks_closed.week_starts_on = closed_in_week.week_starts_on
            and classes.class_no = closed_in_week.class_no
),

class_counts as (
    select
        *,
        sum(n) over (partition by line_no, class_no order by week_starts_on rows unbounded preceding) as n_so_far
    from class_weeks
),

class_places as (
    select
        *,
        sum(n_so_far) over (partition by line_no, week_starts_on) as closed_visits,
        sum(n_so_far) over (
            partition by line_no, week_starts_on order by class_no rows unbounded preceding
        ) as last_place
    from class_counts
),

-- linear between the two visits next to the place 0.85 (n - 1), counted from 0, as everywhere
asked_classes as (
    select
        line_no,
        week_starts_on,
        class_no,
        last_place - n_so_far as places_before,
        closed_visits,
        0.85 * (closed_visits - 1) as asked_place
    from class_places
    where last_place > floor(0.85 * (closed_visits - 1)) and last_place - n_so_far <= ceil(0.85 * (closed_visits - 1))
),

candidates as (
    select
        asked_classes.line_no,
        asked_classes.week_starts_on,
        asked_classes.closed_visits,
        asked_classes.asked_place,
        closed_visits.days_in_stage,
        asked_classes.places_before - 1 + row_number() over (
            partition by
                asked_classes.line_no, asked_classes.week_starts_on,
                asked_classes.class_no
            order by closed_visits.days_in_stage
        ) as place
    from asked_classes
    inner join closed_visits
        on
            asked_classes.line_no = closed_visits.line_no
            and asked_classes.class_no = closed_visits.class_no
            and asked_classes.week_starts_on >= closed_visits.week_starts_on
),

neighbours as (
    select
        line_no,
        week_starts_on,
        max(closed_visits) as closed_visits,
        max(asked_place - floor(asked_place)) as part,
        max(case when place = floor(asked_place) then days_in_stage end) as shorter_days,
        max(case when place = ceil(asked_place) then days_in_stage end) as longer_days
    from candidates
    group by line_no, week_starts_on
),

aging as (
    select
        line_no,
        week_starts_on,
        closed_visits,
        shorter_days + (longer_days - shorter_days) * part as closed_p85_days
    from neighbours
),

-- visits of a deal follow each other: the first one to a stage is the first to leave it
left_stage as (
    select
        visits.opportunity_id,
        stages.line_no,
        stages.basis,
        visits.exited_at as left_at
    from {{ ref('fct_stage_visits') }} as visits
    inner join stages
        on
            visits.basis = stages.basis
            and visits.sales_process = stages.sales_process
            and visits.stage_name = stages.stage_name
    where
        visits.is_mapped
        and not visits.is_closed_stage
        and visits.visit_no = 1
        and visits.exited_at is not null
        and visits.exit_kind not in ('deleted', 'merged')
),

-- won or lost as it stood then: a deal counts from the later of leaving the stage and closing, until it is reopened
outcomes as (
    select
        left_stage.line_no,
        greatest(left_stage.left_at, closed.entered_at) as from_at,
        closed.exited_at as until_at,
        case when closed.is_won_stage then 1 else 0 end as won
    from left_stage
    inner join {{ ref('fct_stage_visits') }} as closed
        on left_stage.basis = closed.basis and left_stage.opportunity_id = closed.opportunity_id and closed.is_closed_stage
    where closed.exited_at is null or closed.exited_at > left_stage.left_at
),

outcome_changes as (
    select
        outcomes.line_no,
        greatest(cast(date_trunc('week', outcomes.from_at) as date), first_week.week_starts_on) as week_starts_on,
        1 as closed,
        outcomes.won
    from outcomes
    cross join first_week
    union all
    select
        outcomes.line_no,
        greatest(cast(date_trunc('week', outcomes.until_at) as date), first_week.week_starts_on) as week_starts_on,
        -1 as closed,
        -outcomes.won as won
    from outcomes
    cross join first_week
    where outcomes.until_at is not null
),

outcome as (
    select
        line_no,
        week_starts_on,
        sum(closed) as closed,
        sum(won) as won
    from outcome_changes
    group by line_no, week_starts_on
),

weekly as (
    select
        stages.line_no,
        stages.basis,
        stages.sales_process,
        stages.location,
        stages.stage_name,
        stages.stage_order,
        weeks.week_starts_on,
        weeks.week_ends_at,
        weeks.minimum_n,
        coalesce(arrived.arrivals, 0) as arrivals,
        coalesce(exited.exits, 0) as exits,
        coalesce(exited.resolved, 0) as resolved,
        coalesce(exited.went_on, 0) as went_on,
        coalesce(outcome.closed, 0) as newly_closed,
        coalesce(outcome.won, 0) as newly_won,
        aging.closed_p85_days,
        aging.closed_visits
    from stages
    inner join weeks on stages.first_entered_at < weeks.week_ends_at
    left join arrived on stages.line_no = arrived.line_no and weeks.week_starts_on = arrived.week_starts_on
    left join exited on stages.line_no = exited.line_no and weeks.week_starts_on = exited.week_starts_on
    left join outcome on stages.line_no = outcome.line_no and weeks.week_starts_on = outcome.week_starts_on
    left join aging on stages.line_no = aging.line_no and weeks.week_starts_on = aging.week_starts_on
),

-- running figures: each week sees itself and the weeks before it, never a later one
running as (
    select
        weekly.*,
        sum(weekly.arrivals - weekly.exits) over so_far as end_wip,
        {{ percentile('exits', 0.5) }} over so_far as median_exits,
        sum(weekly.newly_closed) over so_far as n_resolved,
        sum(weekly.newly_won) over so_far as n_won,
        last_value(weekly.closed_p85_days ignore nulls) over so_far as p85_days,
        max(weekly.closed_visits) over so_far as n_closed_visits,
        avg(weekly.arrivals) over half_year as mean_arrivals,
        sum(weekly.resolved) over quarter as resolved_12_weeks,
        sum(weekly.went_on) over quarter as went_on_12_weeks
    from weekly
    window
        so_far as (partition by line_no order by week_starts_on rows unbounded preceding),
        half_year as (partition by line_no order by week_starts_on rows 25 preceding),
        quarter as (partition by line_no order by week_starts_on rows 11 preceding)
),

charted as (
    select
        *,
        end_wip - arrivals + exits as start_wip,
        abs(end_wip - lag(end_wip) over (partition by line_no order by week_starts_on)) as moving_range,
        case when resolved_12_weeks >= minimum_n then cast(went_on_12_weeks as double) / resolved_12_weeks end as onward_yield
    from running
),

limited as (
    select
        *,
        count(*) over before as weeks_before,
        avg(end_wip) over before + 2.66 * avg(moving_range) over before as wip_upper_limit,
        {{ percentile('onward_yield', 0.75) }} over so_far as best_quartile_yield
    from charted
    window
        before as (
            partition by line_no
            order by week_starts_on
            rows between unbounded preceding and 1 preceding
        ),
        so_far as (partition by line_no order by week_starts_on rows unbounded preceding)
),

-- a week is loaded by the median that was known at the week that looks back; what a stage let through longer ago than half a year
-- says little of what it can do now
capacity as (
    select
        seen.line_no,
        seen.week_starts_on,
        count(*) as loaded_weeks,
        {{ percentile('earlier.exits', 0.85) }} as p85_exits
    from limited as seen
    inner join limited as earlier
        on
            seen.line_no = earlier.line_no
            and seen.week_starts_on >= earlier.week_starts_on
            and earlier.week_starts_on > {{ dbt.dateadd('day', -182, 'seen.week_starts_on') }}
            and earlier.start_wip >= 2 * seen.median_exits
    where seen.median_exits > 0
    group by seen.line_no, seen.week_starts_on
),

shortest_p85 as (
    select
        line_no,
        week_starts_on,
        min(case when n_closed_visits >= minimum_n then p85_days end) over (
            partition by line_no order by week_starts_on rows between current row and unbounded following
        ) as p85_days
    from limited
),

-- few visits ever get as old as the shortest p85 since they began: only they are looked up week by week
long_visits as (
    select
        visits.line_no,
        visits.entered_at,
        coalesce(visits.exited_at, {{ end_of_time() }}) as exited_at
    from visits
    cross join first_week
    inner join shortest_p85
        on
            visits.line_no = shortest_p85.line_no
            and greatest(cast(date_trunc('week', visits.entered_at) as date), first_week.week_starts_on) = shortest_p85.week_starts_on
    where {{ elapsed_days('visits.entered_at', 'coalesce(visits.exited_at, ' ~ end_of_time() ~ ')') }} > shortest_p85.p85_days
),

old_deals as (
    select
        limited.line_no,
        limited.week_starts_on,
        count(*) as n
    from limited
    inner join long_visits
        on
            limited.line_no = long_visits.line_no
            and limited.week_ends_at > long_visits.entered_at
            and limited.week_ends_at <= long_visits.exited_at
    where {{ elapsed_days('long_visits.entered_at', 'limited.week_ends_at') }} > limited.p85_days
    group by limited.line_no, limited.week_starts_on
),

measured as (
    select
        limited.*,
        coalesce(capacity.loaded_weeks, 0) as loaded_weeks,
        case when capacity.loaded_weeks >= 12 then capacity.p85_exits end as capacity_exits,
        case when limited.n_resolved >= limited.minimum_n then cast(limited.n_won as double) / limited.n_resolved end as p_win,
        case
            when limited.n_closed_visits >= limited.minimum_n
                then cast(coalesce(old_deals.n, 0) as double) / nullif(limited.end_wip, 0)
        end as share_beyond_p85,
        case
            when limited.onward_yield is not null
                then {{ wilson_bound('limited.went_on_12_weeks', 'limited.resolved_12_weeks', '+') }}
        end as onward_yield_upper
    from limited
    left join capacity
        on
            limited.line_no = capacity.line_no
            and limited.week_starts_on = capacity.week_starts_on
    left join old_deals
        on
            limited.line_no = old_deals.line_no
            and limited.week_starts_on = old_deals.week_starts_on
)

select
    basis || ': ' || sales_process || ': ' || stage_name || ': ' || cast(week_starts_on as {{ dbt.type_string() }}) as stage_week_key,
    basis,
    sales_process,
    location,
    stage_name,
    stage_order,
    week_starts_on,
    cast(start_wip as bigint) as start_wip,
    cast(arrivals as bigint) as arrivals,
    cast(exits as bigint) as exits,
    cast(end_wip as bigint) as end_wip,
    case when weeks_before >= 12 then cast(wip_upper_limit as double) end as wip_upper_limit,
    cast(median_exits as double) as median_exits,
    cast(loaded_weeks as bigint) as loaded_weeks,
    cast(capacity_exits as double) as capacity_exits,
    cast(n_resolved as bigint) as n_resolved,
    p_win as p_win_after_exit,
    cast(capacity_exits * p_win as double) as theta_wins,
    cast(mean_arrivals / nullif(capacity_exits, 0) as double) as load_ratio,
    p85_days as closed_p85_days,
    cast(share_beyond_p85 as double) as share_beyond_p85,
    onward_yield,
    cast(onward_yield_upper as double) as onward_yield_upper,
    cast(best_quartile_yield as double) as best_quartile_yield
from measured

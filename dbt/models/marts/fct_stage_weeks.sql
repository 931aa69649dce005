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

visits as (
    select * from {{ ref('fct_stage_visits') }}
    where basis = 'reported' and is_mapped and not is_closed_stage
),

moves as (
    select
        sales_process,
        stage_name,
        entered_at as moved_at,
        1 as arrived,
        0 as exited,
        0 as resolved,
        0 as went_on,
        cast(null as double) as days_in_stage
    from visits
    union all
    select
        sales_process,
        stage_name,
        exited_at as moved_at,
        0 as arrived,
        1 as exited,
        case when exit_kind not in ('deleted', 'merged') then 1 else 0 end as resolved,
        case when exit_kind in ('advanced', 'won') then 1 else 0 end as went_on,
        case when exit_kind not in ('deleted', 'merged') and not is_start_imputed then days_in_stage end as days_in_stage
    from visits
    where exited_at is not null
),

first_week as (
    select min(week_starts_on) as week_starts_on from weeks
),

-- what an import dates before the first week counts in the first week: open deals must add up
events as (
    select
        moves.*,
        greatest(cast(date_trunc('week', moves.moved_at) as date), first_week.week_starts_on) as week_starts_on
    from moves
    cross join first_week
),

moved as (
    select
        sales_process,
        stage_name,
        week_starts_on,
        sum(arrived) as arrivals,
        sum(exited) as exits,
        sum(resolved) as resolved,
        sum(went_on) as went_on
    from events
    group by sales_process, stage_name, week_starts_on
),

-- p85 of all visits closed so far, week by week: in order of length they fall into classes of about the square root of their number;
-- counts of classes tell which one holds the percentile of a week, and only its visits are put in order for that week
closed_visits as (
    select
        sales_process,
        stage_name,
        week_starts_on,
        days_in_stage,
        cast(floor((place - 1) / sqrt(n)) as integer) as class_no
    from (
        select
            sales_process,
            stage_name,
            week_starts_on,
            days_in_stage,
            row_number() over (partition by sales_process, stage_name order by days_in_stage) as place,
            count(*) over (partition by sales_process, stage_name) as n
        from events
        where days_in_stage is not null
    ) as ordered
),

closed_in_week as (
    select
        sales_process,
        stage_name,
        week_starts_on,
        class_no,
        count(*) as n
    from closed_visits
    group by sales_process, stage_name, week_starts_on, class_no
),

weeks_closed as (
    select distinct
        sales_process,
        stage_name,
        week_starts_on
    from closed_in_week
),

classes as (
    select distinct
        sales_process,
        stage_name,
        class_no
    from closed_in_week
),

class_weeks as (
    select
        weeks_closed.sales_process,
        weeks_closed.stage_name,
        weeks_closed.week_starts_on,
        classes.class_no,
        coalesce(closed_in_week.n, 0) as n
    from weeks_closed
    inner join classes
        on weeks_closed.sales_process = classes.sales_process and weeks_closed.stage_name = classes.stage_name
    left join closed_in_week
        on
            weeks_closed.sales_process = closed_in_week.sales_process
            and weeks_closed.stage_name = closed_in_week.stage_name
            and weeks_closed.week_starts_on = closed_in_week.week_starts_on
            and classes.class_no = closed_in_week.class_no
),

class_counts as (
    select
        *,
        sum(n) over (partition by sales_process, stage_name, class_no order by week_starts_on rows unbounded preceding) as n_so_far
    from class_weeks
),

class_places as (
    select
        *,
        sum(n_so_far) over (partition by sales_process, stage_name, week_starts_on) as closed_visits,
        sum(n_so_far) over (
            partition by sales_process, stage_name, week_starts_on order by class_no rows unbounded preceding
        ) as last_place
    from class_counts
),

-- linear between the two visits next to the place 0.85 (n - 1), counted from 0, as everywhere
asked_classes as (
    select
        sales_process,
        stage_name,
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
        asked_classes.sales_process,
        asked_classes.stage_name,
        asked_classes.week_starts_on,
        asked_classes.closed_visits,
        asked_classes.asked_place,
        closed_visits.days_in_stage,
        asked_classes.places_before - 1 + row_number() over (
            partition by asked_classes.sales_process, asked_classes.stage_name, asked_classes.week_starts_on, asked_classes.class_no
            order by closed_visits.days_in_stage
        ) as place
    from asked_classes
    inner join closed_visits
        on
            asked_classes.sales_process = closed_visits.sales_process
            and asked_classes.stage_name = closed_visits.stage_name
            and asked_classes.class_no = closed_visits.class_no
            and asked_classes.week_starts_on >= closed_visits.week_starts_on
),

neighbours as (
    select
        sales_process,
        stage_name,
        week_starts_on,
        max(closed_visits) as closed_visits,
        max(asked_place - floor(asked_place)) as part,
        max(case when place = floor(asked_place) then days_in_stage end) as shorter_days,
        max(case when place = ceil(asked_place) then days_in_stage end) as longer_days
    from candidates
    group by sales_process, stage_name, week_starts_on
),

aging as (
    select
        sales_process,
        stage_name,
        week_starts_on,
        closed_visits,
        shorter_days + (longer_days - shorter_days) * part as closed_p85_days
    from neighbours
),

left_stage as (
    select
        opportunity_id,
        sales_process,
        stage_name,
        min(exited_at) as left_at
    from visits
    where exited_at is not null and exit_kind not in ('deleted', 'merged')
    group by opportunity_id, sales_process, stage_name
),

-- won or lost as it stood then: a deal counts from the later of leaving the stage and closing, until it is reopened
outcomes as (
    select
        left_stage.sales_process,
        left_stage.stage_name,
        greatest(left_stage.left_at, closed.entered_at) as from_at,
        closed.exited_at as until_at,
        case when closed.is_won_stage then 1 else 0 end as won
    from left_stage
    inner join {{ ref('fct_stage_visits') }} as closed
        on left_stage.opportunity_id = closed.opportunity_id and closed.basis = 'reported' and closed.is_closed_stage
    where closed.exited_at is null or closed.exited_at > left_stage.left_at
),

outcome_changes as (
    select
        outcomes.sales_process,
        outcomes.stage_name,
        greatest(cast(date_trunc('week', outcomes.from_at) as date), first_week.week_starts_on) as week_starts_on,
        1 as closed,
        outcomes.won
    from outcomes
    cross join first_week
    union all
    select
        outcomes.sales_process,
        outcomes.stage_name,
        greatest(cast(date_trunc('week', outcomes.until_at) as date), first_week.week_starts_on) as week_starts_on,
        -1 as closed,
        -outcomes.won as won
    from outcomes
    cross join first_week
    where outcomes.until_at is not null
),

outcome as (
    select
        sales_process,
        stage_name,
        week_starts_on,
        sum(closed) as closed,
        sum(won) as won
    from outcome_changes
    group by sales_process, stage_name, week_starts_on
),

stages as (
    select
        visits.sales_process,
        visits.stage_name,
        min(visits.location) as location,
        min(visits.stage_order) as stage_order,
        min(visits.entered_at) as first_entered_at
    from visits
    group by visits.sales_process, visits.stage_name
),

weekly as (
    select
        stages.sales_process,
        stages.location,
        stages.stage_name,
        stages.stage_order,
        weeks.week_starts_on,
        weeks.week_ends_at,
        weeks.minimum_n,
        coalesce(moved.arrivals, 0) as arrivals,
        coalesce(moved.exits, 0) as exits,
        coalesce(moved.resolved, 0) as resolved,
        coalesce(moved.went_on, 0) as went_on,
        coalesce(outcome.closed, 0) as newly_closed,
        coalesce(outcome.won, 0) as newly_won,
        aging.closed_p85_days,
        aging.closed_visits
    from stages
    inner join weeks on stages.first_entered_at < weeks.week_ends_at
    left join moved
        on
            stages.sales_process = moved.sales_process
            and stages.stage_name = moved.stage_name
            and weeks.week_starts_on = moved.week_starts_on
    left join outcome
        on
            stages.sales_process = outcome.sales_process
            and stages.stage_name = outcome.stage_name
            and weeks.week_starts_on = outcome.week_starts_on
    left join aging
        on
            stages.sales_process = aging.sales_process
            and stages.stage_name = aging.stage_name
            and weeks.week_starts_on = aging.week_starts_on
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
        so_far as (partition by sales_process, stage_name order by week_starts_on rows unbounded preceding),
        half_year as (partition by sales_process, stage_name order by week_starts_on rows 25 preceding),
        quarter as (partition by sales_process, stage_name order by week_starts_on rows 11 preceding)
),

charted as (
    select
        *,
        end_wip - arrivals + exits as start_wip,
        abs(end_wip - lag(end_wip) over (partition by sales_process, stage_name order by week_starts_on)) as moving_range,
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
            partition by sales_process, stage_name
            order by week_starts_on
            rows between unbounded preceding and 1 preceding
        ),
        so_far as (partition by sales_process, stage_name order by week_starts_on rows unbounded preceding)
),

-- a week is loaded by the median that was known at the week that looks back; what a stage let through longer ago than half a year
-- says little of what it can do now
capacity as (
    select
        seen.sales_process,
        seen.stage_name,
        seen.week_starts_on,
        count(*) as loaded_weeks,
        {{ percentile('earlier.exits', 0.85) }} as p85_exits
    from limited as seen
    inner join limited as earlier
        on
            seen.sales_process = earlier.sales_process
            and seen.stage_name = earlier.stage_name
            and seen.week_starts_on >= earlier.week_starts_on
            and earlier.week_starts_on > {{ dbt.dateadd('day', -182, 'seen.week_starts_on') }}
            and earlier.start_wip >= 2 * seen.median_exits
    where seen.median_exits > 0
    group by seen.sales_process, seen.stage_name, seen.week_starts_on
),

old_deals as (
    select
        limited.sales_process,
        limited.stage_name,
        limited.week_starts_on,
        avg(case when {{ elapsed_days('visits.entered_at', 'limited.week_ends_at') }} > limited.p85_days then 1.0 else 0.0 end)
            as share_beyond_p85
    from limited
    inner join visits
        on
            limited.sales_process = visits.sales_process
            and limited.stage_name = visits.stage_name
            and limited.week_ends_at > visits.entered_at
            and limited.week_ends_at <= coalesce(visits.exited_at, {{ end_of_time() }})
    where limited.n_closed_visits >= limited.minimum_n
    group by limited.sales_process, limited.stage_name, limited.week_starts_on
),

measured as (
    select
        limited.*,
        coalesce(capacity.loaded_weeks, 0) as loaded_weeks,
        case when capacity.loaded_weeks >= 12 then capacity.p85_exits end as capacity_exits,
        case when limited.n_resolved >= limited.minimum_n then cast(limited.n_won as double) / limited.n_resolved end as p_win,
        old_deals.share_beyond_p85,
        case
            when limited.onward_yield is not null
                then {{ wilson_bound('limited.went_on_12_weeks', 'limited.resolved_12_weeks', '+') }}
        end as onward_yield_upper
    from limited
    left join capacity
        on
            limited.sales_process = capacity.sales_process
            and limited.stage_name = capacity.stage_name
            and limited.week_starts_on = capacity.week_starts_on
    left join old_deals
        on
            limited.sales_process = old_deals.sales_process
            and limited.stage_name = old_deals.stage_name
            and limited.week_starts_on = old_deals.week_starts_on
)

select
    sales_process || ': ' || stage_name || ': ' || cast(week_starts_on as {{ dbt.type_string() }}) as stage_week_key,
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

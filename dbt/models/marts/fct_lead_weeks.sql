with run as (
    select
        as_of,
        minimum_n
    from {{ ref('stg_control__run') }}
),

weeks as (
    select distinct
        dates.week_starts_on,
        cast({{ dbt.dateadd('day', 7, 'dates.week_starts_on') }} as timestamp) as week_ends_at,
        run.minimum_n
    from {{ ref('dim_date') }} as dates
    cross join run
    where {{ elapsed_days('cast(dates.week_starts_on as timestamp)', 'run.as_of') }} >= 7
),

leads as (
    select
        leads.*,
        -- what was given up without a touch took no capacity
        leads.closed_at is not null and leads.first_worked_at <= leads.closed_at as is_worked_exit,
        {{ elapsed_days('leads.created_at', 'leads.closed_at') }} as days_open
    from {{ ref('int_lead_work') }} as leads
    where leads.outcome <> 'deleted'
),

moves as (
    select
        created_at as moved_at,
        1 as arrived,
        0 as exited,
        0 as worked_exits,
        0 as converted,
        cast(null as double) as days_open
    from leads
    union all
    select
        closed_at as moved_at,
        0 as arrived,
        1 as exited,
        case when is_worked_exit then 1 else 0 end as worked_exits,
        case when outcome = 'converted' then 1 else 0 end as converted,
        days_open
    from leads
    where closed_at is not null
),

first_week as (
    select min(week_starts_on) as week_starts_on from weeks
),

events as (
    select
        moves.*,
        greatest(cast(date_trunc('week', moves.moved_at) as date), first_week.week_starts_on) as week_starts_on
    from moves
    cross join first_week
),

moved as (
    select
        week_starts_on,
        sum(arrived) as arrivals,
        sum(exited) as exits,
        sum(worked_exits) as worked_exits,
        sum(converted) as converted
    from events
    group by week_starts_on
),

aging as (
    select
        week_starts_on,
        {{ percentile('days_open', 0.85) }} over closed_so_far as closed_p85_days,
        count(days_open) over closed_so_far as n_closed_leads,
        row_number() over (partition by week_starts_on order by moved_at desc, days_open desc) as from_last
    from events
    where exited = 1
    window closed_so_far as (order by moved_at, days_open rows unbounded preceding)
),

weekly as (
    select
        weeks.week_starts_on,
        weeks.week_ends_at,
        weeks.minimum_n,
        coalesce(moved.arrivals, 0) as arrivals,
        coalesce(moved.exits, 0) as exits,
        coalesce(moved.worked_exits, 0) as worked_exits,
        coalesce(moved.converted, 0) as converted,
        aging.closed_p85_days,
        aging.n_closed_leads
    from weeks
    left join moved on weeks.week_starts_on = moved.week_starts_on
    left join aging on weeks.week_starts_on = aging.week_starts_on and aging.from_last = 1
    where weeks.week_starts_on >= (select min(events.week_starts_on) from events)
),

running as (
    select
        *,
        sum(arrivals - exits) over so_far as end_wip,
        {{ percentile('worked_exits', 0.5) }} over so_far as median_exits,
        last_value(closed_p85_days ignore nulls) over so_far as p85_days,
        max(n_closed_leads) over so_far as n_closed,
        avg(arrivals) over half_year as mean_arrivals,
        sum(exits) over quarter as exits_12_weeks,
        sum(converted) over quarter as converted_12_weeks
    from weekly
    window
        so_far as (order by week_starts_on rows unbounded preceding),
        half_year as (order by week_starts_on rows 25 preceding),
        quarter as (order by week_starts_on rows 11 preceding)
),

charted as (
    select
        *,
        end_wip - arrivals + exits as start_wip,
        abs(end_wip - lag(end_wip) over (order by week_starts_on)) as moving_range,
        case when exits_12_weeks >= minimum_n then cast(converted_12_weeks as double) / exits_12_weeks end as onward_yield
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
        before as (order by week_starts_on rows between unbounded preceding and 1 preceding),
        so_far as (order by week_starts_on rows unbounded preceding)
),

capacity as (
    select
        seen.week_starts_on,
        count(*) as loaded_weeks,
        {{ percentile('earlier.worked_exits', 0.85) }} as p85_exits
    from limited as seen
    inner join limited as earlier
        on
            seen.week_starts_on >= earlier.week_starts_on
            and earlier.week_starts_on > {{ dbt.dateadd('day', -182, 'seen.week_starts_on') }}
            and earlier.start_wip >= 2 * seen.median_exits
    where seen.median_exits > 0
    group by seen.week_starts_on
),

old_leads as (
    select
        limited.week_starts_on,
        avg(case when {{ elapsed_days('leads.created_at', 'limited.week_ends_at') }} > limited.p85_days then 1.0 else 0.0 end)
            as share_beyond_p85
    from limited
    inner join leads
        on
            limited.week_ends_at > leads.created_at
            and limited.week_ends_at <= coalesce(leads.closed_at, {{ end_of_time() }})
    where limited.n_closed >= limited.minimum_n
    group by limited.week_starts_on
),

-- what became of a lead that was worked: given up, or won or lost in this process; wins that no lead began come beside
outcomes as (
    select
        deals.sales_process,
        leads.lead_id is not null as is_from_lead,
        deals.is_won,
        cast(date_trunc('week', deals.closed_at) as date) as week_starts_on
    from {{ ref('int_opportunities') }} as deals
    left join leads on deals.opportunity_id = leads.opportunity_id and leads.is_worked_exit
    where not deals.is_open and deals.closed_at is not null and not deals.is_deleted
),

resolved as (
    select
        week_starts_on,
        sum(given_up + closed) as resolved
    from (
        select
            cast(date_trunc('week', closed_at) as date) as week_starts_on,
            1 as given_up,
            0 as closed
        from leads
        where outcome = 'given up' and is_worked_exit
        union all
        select
            week_starts_on,
            0 as given_up,
            1 as closed
        from outcomes
        where is_from_lead
    ) as ended
    group by week_starts_on
),

wins as (
    select
        sales_process,
        week_starts_on,
        sum(case when is_won and is_from_lead then 1 else 0 end) as won,
        sum(case when is_won and not is_from_lead then 1 else 0 end) as won_beside
    from outcomes
    group by sales_process, week_starts_on
),

processes as (
    select distinct sales_process from {{ ref('fct_stage_weeks') }}
),

worth as (
    select
        processes.sales_process,
        limited.week_starts_on,
        sum(coalesce(resolved.resolved, 0)) over so_far as n_resolved,
        sum(coalesce(wins.won, 0)) over so_far as n_won,
        avg(coalesce(wins.won_beside, 0)) over half_year as wins_beside
    from processes
    cross join limited
    left join resolved on limited.week_starts_on = resolved.week_starts_on
    left join wins on processes.sales_process = wins.sales_process and limited.week_starts_on = wins.week_starts_on
    window
        so_far as (partition by processes.sales_process order by limited.week_starts_on rows unbounded preceding),
        half_year as (partition by processes.sales_process order by limited.week_starts_on rows 25 preceding)
),

measured as (
    select
        worth.sales_process,
        limited.*,
        worth.n_resolved,
        worth.wins_beside,
        coalesce(capacity.loaded_weeks, 0) as loaded_weeks,
        case when capacity.loaded_weeks >= 12 then capacity.p85_exits end as capacity_exits,
        case when worth.n_resolved >= limited.minimum_n then cast(worth.n_won as double) / worth.n_resolved end as p_win,
        old_leads.share_beyond_p85,
        case
            when limited.onward_yield is not null
                then {{ wilson_bound('limited.converted_12_weeks', 'limited.exits_12_weeks', '+') }}
        end as onward_yield_upper
    from worth
    inner join limited on worth.week_starts_on = limited.week_starts_on
    left join capacity on limited.week_starts_on = capacity.week_starts_on
    left join old_leads on limited.week_starts_on = old_leads.week_starts_on
)

select
    sales_process || ': ' || cast(week_starts_on as {{ dbt.type_string() }}) as lead_week_key,
    sales_process,
    week_starts_on,
    cast(start_wip as bigint) as start_wip,
    cast(arrivals as bigint) as arrivals,
    cast(exits as bigint) as exits,
    cast(worked_exits as bigint) as worked_exits,
    cast(end_wip as bigint) as end_wip,
    case when weeks_before >= 12 then cast(wip_upper_limit as double) end as wip_upper_limit,
    cast(loaded_weeks as bigint) as loaded_weeks,
    cast(capacity_exits as double) as capacity_exits,
    cast(n_resolved as bigint) as n_resolved,
    p_win as p_win_after_exit,
    cast(capacity_exits * p_win + wins_beside as double) as theta_wins,
    cast(mean_arrivals / nullif(capacity_exits, 0) as double) as load_ratio,
    cast(share_beyond_p85 as double) as share_beyond_p85,
    onward_yield,
    cast(onward_yield_upper as double) as onward_yield_upper,
    cast(best_quartile_yield as double) as best_quartile_yield
from measured

with run as (
    select as_of, minimum_n from {{ ref('dim_run') }}
),

visits as (
    select * from {{ ref('fct_stage_visits') }}
    where basis = 'reported' and is_mapped and not is_closed_stage
),

events as (
    select sales_process, location, stage_name, cast(date_trunc('week', entered_at) as date) as week_starts_on, 1 as arrived, 0 as exited
    from visits
    union all
    select sales_process, location, stage_name, cast(date_trunc('week', exited_at) as date) as week_starts_on, 0 as arrived, 1 as exited
    from visits
    where exited_at is not null
),

stages as (
    select sales_process, location, stage_name, min(week_starts_on) as first_week
    from events
    group by sales_process, location, stage_name
),

-- whole weeks only: the week of as_of is not over
weeks as (
    select distinct dates.week_starts_on
    from {{ ref('dim_date') }} as dates
    cross join run
    where {{ elapsed_days('cast(dates.week_starts_on as timestamp)', 'run.as_of') }} >= 7
),

weekly as (
    select
        stages.sales_process,
        stages.location,
        stages.stage_name,
        weeks.week_starts_on,
        coalesce(sum(events.arrived), 0) as arrivals,
        coalesce(sum(events.exited), 0) as exits
    from stages
    inner join weeks on stages.first_week <= weeks.week_starts_on
    left join events
        on
            stages.sales_process = events.sales_process
            and stages.stage_name = events.stage_name
            and weeks.week_starts_on = events.week_starts_on
    group by stages.sales_process, stages.location, stages.stage_name, weeks.week_starts_on
),

moving as (
    select
        *,
        arrivals - exits as growth,
        sum(arrivals - exits) over stage_weeks - (arrivals - exits) as start_wip,
        {{ percentile('exits', 0.5) }} over (partition by sales_process, stage_name) as median_exits,
        abs((arrivals - exits) - lag(arrivals - exits) over stage_weeks) as moving_range,
        avg(arrivals) over recent as arrivals_12_weeks
    from weekly
    window
        stage_weeks as (partition by sales_process, stage_name order by week_starts_on),
        recent as (partition by sales_process, stage_name order by week_starts_on rows between 11 preceding and current row)
),

capacity as (
    select
        sales_process,
        stage_name,
        sum(case when start_wip >= 2 * median_exits then 1 else 0 end) as loaded_weeks,
        {{ percentile('case when start_wip >= 2 * median_exits then exits end', 0.85) }} as p85_exits,
        avg(growth) + 2.66 * avg(moving_range) as growth_upper
    from moving
    group by sales_process, stage_name
),

wins as (
    select
        left_deals.sales_process,
        left_deals.stage_name,
        count(*) as n_resolved,
        avg(case when deals.is_won then 1.0 else 0.0 end) as p_win
    from (
        select distinct opportunity_id, sales_process, stage_name
        from visits
        where exited_at is not null
    ) as left_deals
    inner join {{ ref('fct_opportunities') }} as deals on left_deals.opportunity_id = deals.opportunity_id
    where (deals.is_won or deals.is_lost) and not deals.is_deleted
    group by left_deals.sales_process, left_deals.stage_name
),

durations as (
    select
        visits.sales_process,
        visits.stage_name,
        {{ percentile('visits.days_in_stage', 0.85) }} as closed_p85_days
    from visits
    cross join run
    where visits.exit_kind not in ('open', 'deleted', 'merged') and not visits.is_start_imputed
    group by visits.sales_process, visits.stage_name
    having count(*) >= max(run.minimum_n)
),

aged as (
    select
        visits.sales_process,
        visits.stage_name,
        avg(case when visits.days_in_stage > durations.closed_p85_days then 1.0 else 0.0 end) as share_beyond_p85
    from visits
    inner join durations
        on
            visits.sales_process = durations.sales_process
            and visits.stage_name = durations.stage_name
    where visits.exit_kind = 'open'
    group by visits.sales_process, visits.stage_name
),

measured as (
    select
        moving.*,
        capacity.loaded_weeks,
        case when capacity.loaded_weeks >= 12 then capacity.p85_exits end as capacity_exits,
        wins.p_win,
        wins.n_resolved,
        case when capacity.loaded_weeks >= 12 then capacity.p85_exits * wins.p_win end as theta,
        capacity.growth_upper,
        moving.growth > capacity.growth_upper as is_growing,
        case when capacity.loaded_weeks >= 12 then moving.arrivals_12_weeks / nullif(capacity.p85_exits, 0) end as load_ratio,
        -- ages are known for the deals that stand at as_of: the newest week alone
        case when moving.week_starts_on = max(moving.week_starts_on) over () then aged.share_beyond_p85 end as share_beyond_p85
    from moving
    inner join capacity on moving.sales_process = capacity.sales_process and moving.stage_name = capacity.stage_name
    left join wins on moving.sales_process = wins.sales_process and moving.stage_name = wins.stage_name
    left join aged on moving.sales_process = aged.sales_process and moving.stage_name = aged.stage_name
),

limiting as (
    select
        *,
        row_number() over (
            partition by sales_process, location, week_starts_on
            order by theta nulls last, start_wip desc, stage_name
        ) as rank_in_location
    from measured
),

judged as (
    select
        *,
        min(theta) over (partition by sales_process, week_starts_on) as lowest_theta,
        count(theta) over (partition by sales_process, week_starts_on) as locations_known,
        case when coalesce(is_growing, false) then 1 else 0 end
        + case when coalesce(load_ratio > 1, false) then 1 else 0 end
        + case when coalesce(share_beyond_p85 > 0.3, false) then 1 else 0 end as signals
    from limiting
    where rank_in_location = 1
),

unmeasured as (
    select 'market' as location, 'no leads are loaded' as cause
    union all
    select 'marketing' as location, 'no leads and campaigns are loaded' as cause
    union all
    select 'servicing' as location, 'no cases are loaded' as cause
)

select
    week_starts_on,
    sales_process,
    location,
    'measured' as state,
    cast(null as {{ dbt.type_string() }}) as state_cause,
    stage_name as limiting_stage_name,
    cast(start_wip as bigint) as start_wip,
    cast(arrivals as bigint) as arrivals,
    cast(exits as bigint) as exits,
    cast(growth as bigint) as net_growth,
    cast(loaded_weeks as bigint) as loaded_weeks,
    cast(capacity_exits as double) as capacity_exits,
    cast(p_win as double) as p_win_after_exit,
    cast(n_resolved as bigint) as n_resolved,
    cast(theta as double) as theta_wins,
    cast(growth_upper as double) as growth_upper_limit,
    is_growing,
    cast(load_ratio as double) as load_ratio,
    cast(share_beyond_p85 as double) as share_beyond_p85,
    cast(signals as integer) as signals_for,
    case when theta = lowest_theta and locations_known >= 2 and signals >= 2 then 'constraint' else 'undetermined' end as verdict,
    case when theta = lowest_theta and locations_known >= 2 then 'fewest wins a week at capacity; ' else '' end
    || case when coalesce(is_growing, false) then 'open deals grow beyond the expected range; ' else '' end
    || case when coalesce(load_ratio > 1, false) then 'more arrive than capacity lets out; ' else '' end
    || case when coalesce(share_beyond_p85 > 0.3, false) then 'many deals older than 85 % of those that left; ' else '' end as evidence_for,
    case when theta is null then 'capacity unknown: fewer than 12 loaded weeks; ' else '' end
    || case when locations_known < 2 then 'no second location to compare with; ' else '' end
    || case when theta > lowest_theta then 'another location lets through fewer wins; ' else '' end
    || case when not coalesce(is_growing, false) then 'growth of open deals is within the expected range; ' else '' end
    || case when coalesce(load_ratio <= 1, false) then 'capacity exceeds arrivals; ' else '' end
    || case when coalesce(share_beyond_p85 <= 0.3, false) then 'few deals are old; ' else '' end as evidence_against
from judged
union all
select
    process_weeks.week_starts_on,
    process_weeks.sales_process,
    unmeasured.location,
    'not measured' as state,
    unmeasured.cause as state_cause,
    {%- for kind, column in [('string', 'limiting_stage_name'), ('bigint', 'start_wip'), ('bigint', 'arrivals'), ('bigint', 'exits'), ('bigint', 'net_growth'), ('bigint', 'loaded_weeks'), ('double', 'capacity_exits'), ('double', 'p_win_after_exit'), ('bigint', 'n_resolved'), ('double', 'theta_wins'), ('double', 'growth_upper_limit'), ('boolean', 'is_growing'), ('double', 'load_ratio'), ('double', 'share_beyond_p85'), ('integer', 'signals_for')] %}
    cast(null as {{ dbt.type_string() if kind == 'string' else kind }}) as {{ column }},
    {%- endfor %}
    'undetermined' as verdict,
    '' as evidence_for,
    unmeasured.cause as evidence_against
from (select distinct sales_process, week_starts_on from weekly) as process_weeks
cross join unmeasured

{#- Thresholds are choices, told in the description of `signals_for`. -#}
{%- set load_limit, old_share_limit = 0.85, 0.30 -%}
with signalled as (
    select
        *,
        end_wip > wip_upper_limit as is_growing,
        load_ratio > {{ load_limit }} as is_loaded,
        share_beyond_p85 > {{ old_share_limit }} as is_old,
        onward_yield_upper < best_quartile_yield as is_below_best
    from {{ ref('fct_stage_weeks') }}
),

counted as (
    select
        *,
        case when is_growing then 1 else 0 end
        + case when is_loaded then 1 else 0 end
        + case when is_old then 1 else 0 end
        + case when is_below_best then 1 else 0 end as signals,
        row_number() over (
            partition by sales_process, location, week_starts_on
            order by theta_wins asc nulls last, end_wip desc, stage_order asc, stage_name asc
        ) as rank_in_location
    from signalled
),

judged as (
    select
        *,
        min(theta_wins) over (partition by sales_process, week_starts_on) as lowest_theta,
        count(theta_wins) over (partition by sales_process, week_starts_on) as locations_known
    from counted
    where rank_in_location = 1
),

process_weeks as (
    select distinct
        sales_process,
        week_starts_on
    from {{ ref('fct_stage_weeks') }}
),

unmeasured as (
    select
        'market' as location,
        'no leads are loaded' as cause
    union all
    select
        'marketing' as location,
        'no leads and campaigns are loaded' as cause
    union all
    select
        'servicing' as location,
        'no cases are loaded' as cause
)

select
    week_starts_on,
    sales_process,
    location,
    'measured' as state,
    cast(null as {{ dbt.type_string() }}) as state_cause,
    stage_name as limiting_stage_name,
    start_wip,
    arrivals,
    exits,
    arrivals - exits as net_growth,
    end_wip,
    wip_upper_limit,
    is_growing,
    loaded_weeks,
    capacity_exits,
    p_win_after_exit,
    n_resolved,
    theta_wins,
    load_ratio,
    share_beyond_p85,
    onward_yield,
    best_quartile_yield,
    cast(signals as integer) as signals_for,
    case when theta_wins = lowest_theta and signals >= 2 then 'constraint' else 'undetermined' end as verdict,
    case when theta_wins = lowest_theta and locations_known > 1 then 'fewest wins a week at capacity; ' else '' end
    || case
        when is_growing
            then
                {{ in_words('end_wip') }} || ' deals stand there, more than the ' || {{ in_words('wip_upper_limit') }}
                || ' that earlier weeks explain; '
        else ''
    end
    || case
        when is_loaded
            then 'arrivals take up ' || {{ in_words('100 * load_ratio') }} || ' % of what it lets out in its better weeks; '
        else ''
    end
    || case
        when is_old
            then {{ in_words('100 * share_beyond_p85') }} || ' % of its deals are older than 85 % of those that left; '
        else ''
    end
    || case
        when is_below_best
            then
                {{ in_words('100 * onward_yield') }} || ' % move on, in its best quarter of weeks '
                || {{ in_words('100 * best_quartile_yield') }} || ' %; '
        else ''
    end as evidence_for,
    case
        when capacity_exits is null then 'capacity unknown: ' || {{ in_words('loaded_weeks') }} || ' loaded weeks of the 12 needed; '
        when theta_wins is null then 'too few closed deals to tell what an exit is worth; '
        when theta_wins > lowest_theta then 'another location lets through fewer wins; '
        when locations_known < 2 then 'the other locations were not loaded for long enough to know their capacity; '
        else ''
    end
    || case when not is_growing then 'no more open deals than earlier weeks explain; ' else '' end
    || case
        when not is_loaded
            then 'arrivals take up only ' || {{ in_words('100 * load_ratio') }} || ' % of its capacity; '
        else ''
    end
    || case when not is_old then 'few deals are old; ' else '' end
    || case when not is_below_best then 'it moves on as many as in its best weeks, within chance; ' else '' end as evidence_against
from judged
union all
select
    process_weeks.week_starts_on,
    process_weeks.sales_process,
    unmeasured.location,
    'not measured' as state,
    unmeasured.cause as state_cause,
    {%- for kind, columns in [
        ('string', ['limiting_stage_name']),
        ('bigint', ['start_wip', 'arrivals', 'exits', 'net_growth', 'end_wip']),
        ('double', ['wip_upper_limit']),
        ('boolean', ['is_growing']),
        ('bigint', ['loaded_weeks']),
        ('double', ['capacity_exits', 'p_win_after_exit']),
        ('bigint', ['n_resolved']),
        ('double', ['theta_wins', 'load_ratio', 'share_beyond_p85', 'onward_yield', 'best_quartile_yield']),
        ('integer', ['signals_for']),
    ] %}
    {%- for column in columns %}
    cast(null as {{ dbt.type_string() if kind == 'string' else kind }}) as {{ column }},
    {%- endfor %}
    {%- endfor %}
    'undetermined' as verdict,
    '' as evidence_for,
    unmeasured.cause as evidence_against
from process_weeks
cross join unmeasured

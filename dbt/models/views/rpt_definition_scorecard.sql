{%- set keys = ['definition_id', 'definition_version', 'scope', 'sales_process', 'team_id'] -%}
{%- set least_ranges = 8 -%}
{%- set states = {
    'n_open': "state in ('open', 'said fixed, still breached')",
    'n_snoozed': "state = 'snoozed'",
    'n_waived': "state = 'waived'",
    'n_disputed': "state = 'disputed'",
    'n_said_fixed': "state = 'said fixed'",
} -%}
with run as (
    select
        as_of,
        as_of_on,
        minimum_n
    from {{ ref('dim_run') }}
),

rated as (
    select
        days.*,
        days.met + days.breached + days.unknown as applicable,
        case when days.met + days.breached >= run.minimum_n then cast(days.met as double) / (days.met + days.breached) end as met_rate,
        case when days.met + days.breached >= run.minimum_n then {{ wilson_bound('days.met', '(days.met + days.breached)', '-') }} end
            as met_rate_lower,
        case when days.met + days.breached >= run.minimum_n then {{ wilson_bound('days.met', '(days.met + days.breached)', '+') }} end
            as met_rate_upper
    from {{ ref('fct_definition_days') }} as days
    cross join run
),

series as (
    select
        {{ keys | join(', ') }},
        as_of_on,
        {{ dbt.datediff("cast('2000-01-01' as date)", 'as_of_on', 'day') }}
            as period_no,
        met_rate as value
    from rated
),

ranges as (
    {{ moving_ranges('series', keys) }}
),

limits as (
    {{ xmr_limits('ranges', keys) }}
),

signals as (
    {{ xmr_signals('ranges', 'limits', keys) }}
),

-- what was decided is known for as_of alone: the days before were published as they then stood
standing as (
    select
        verdicts.definition_id,
        coalesce(verdicts.sales_process, 'none') as sales_process,
        coalesce(owners.team_id, 'none') as team_id,
        breaches.state
    from {{ ref('fct_definition_verdicts') }} as verdicts
    inner join {{ ref('fct_standing_breaches') }} as breaches
        on
            verdicts.definition_id = breaches.definition_id
            and coalesce(verdicts.record_id, verdicts.row_key) = breaches.record_key
    left join {{ ref('dim_owner') }} as owners on verdicts.owner_id = owners.owner_id
    where verdicts.status = 'breached'
),

decided as (
    {%- for scope, by_process, by_team in [
        ('all', false, false), ('process', true, false), ('team', false, true), ('process and team', true, true)
    ] %}
    select
        definition_id,
        {%- for name, condition in states.items() %}
        sum(case when {{ condition }} then 1 else 0 end) as {{ name }},
        {%- endfor %}
        '{{ scope }}' as scope,
        {{ 'sales_process' if by_process else "'all'" }} as sales_process,
        {{ 'team_id' if by_team else "'all'" }} as team_id
    from standing
    group by {{ (['definition_id'] + (['standing.sales_process'] if by_process else [])
        + (['standing.team_id'] if by_team else [])) | join(', ') }}
    {%- if not loop.last %}
    union all
    {%- endif %}
    {%- endfor %}
)

select
    rated.definition_day_key,
    rated.definition_id,
    rated.definition_version,
    definitions.rule_number,
    definitions.title,
    definitions.kind,
    rated.mode,
    rated.as_of_on,
    rated.is_latest,
    rated.scope,
    rated.sales_process,
    rated.team_id,
    rated.team_name,
    rated.state,
    rated.state_cause,
    rated.raw,
    rated.applicable,
    rated.met,
    rated.breached,
    rated.not_applicable,
    rated.unknown,
    rated.unknown_causes,
    rated.met_rate,
    rated.met_rate_lower,
    rated.met_rate_upper,
    {%- for name in states %}
    case when rated.as_of = run.as_of and rated.state = 'measured' then cast(coalesce(decided.{{ name }}, 0) as bigint) end as {{ name }},
    {%- endfor %}
    case when rated.is_latest and rated.scope = 'all' then definitions.success end as success,
    case when rated.is_latest and rated.scope = 'all' then definitions.stops end as stops,
    cast(signals.n_values as bigint) as n_days,
    case when signals.n_ranges >= {{ least_ranges }} then signals.mean_value end as mean_rate,
    case when signals.n_ranges >= {{ least_ranges }} and signals.lower_limit >= 0 then signals.lower_limit end as lower_limit,
    case when signals.n_ranges >= {{ least_ranges }} and signals.upper_limit <= 1 then signals.upper_limit end as upper_limit,
    case
        when signals.n_ranges < {{ least_ranges }} or signals.value is null then null
        when signals.is_outside then 'outside'
        when signals.is_run_of_8 then '8 in a row'
        when signals.is_3_of_4 then '3 of 4'
        when signals.is_range_outside then 'range'
        else 'none'
    end as signal,
    case
        when rated.state <> 'measured' then rated.state
        when rated.met_rate is null then 'too few'
        when signals.n_ranges < {{ least_ranges }} then 'too few days for a signal'
        else 'limits approximate'
    end as reads,
    rated.as_of
from rated
cross join run
inner join {{ ref('dim_definition') }} as definitions on rated.definition_id = definitions.definition_id
inner join signals
    on
        rated.as_of_on = signals.as_of_on
        {%- for key in keys %}
        and rated.{{ key }} = signals.{{ key }}
        {%- endfor %}
left join decided
    on
        rated.definition_id = decided.definition_id
        and rated.scope = decided.scope
        and rated.sales_process = decided.sales_process
        and rated.team_id = decided.team_id

{%- set keys = ['days.definition_id', 'days.definition_version', 'days.as_of_on'] -%}
{%- set scopes = {
    'all': [],
    'process': ['sales_process'],
    'team': ['team'],
    'process and team': ['sales_process', 'team'],
} -%}
-- of several audits of a day the last counts
with history as (
    select
        *,
        row_number() over (partition by definition_id, as_of_on order by as_of desc) as place
    from {{ ref('stg_audit__definition_history') }}
),

days as (
    select * from history
    where place = 1
),

counts as (
    select
        definition_id,
        definition_version,
        as_of,
        coalesce(sales_process, 'none') as sales_process,
        coalesce(team_id, 'none') as team_id,
        coalesce(team_name, team_id, 'none') as team_name,
        raw,
        met,
        breached,
        not_applicable,
        unknown,
        unknown_causes
    from {{ ref('stg_audit__definition_count') }}
),

scoped as (
    {%- for scope, of in scopes.items() %}
    select
        days.definition_id,
        days.definition_version,
        days.as_of_on,
        '{{ scope }}' as scope,
        {{ 'counts.sales_process' if 'sales_process' in of else "'all'" }} as sales_process,
        {{ 'counts.team_id' if 'team' in of else "'all'" }} as team_id,
        {{ 'max(counts.team_name)' if 'team' in of else "'all'" }} as team_name,
        max(days.as_of) as as_of,
        max(days.mode) as mode,
        max(days.state) as state,
        max(days.state_cause) as state_cause,
        {%- for column in ['raw', 'met', 'breached', 'not_applicable', 'unknown'] %}
        case when max(days.state) = 'measured' then coalesce(sum(counts.{{ column }}), 0) end as {{ column }},
        {%- endfor %}
        {{ names_in_order('counts.unknown_causes', '; ') }} as unknown_causes
    from days
    {{ 'inner' if of else 'left' }} join counts
        on
            days.definition_id = counts.definition_id
            and days.definition_version = counts.definition_version
            and days.as_of = counts.as_of
            and days.state = 'measured'
    group by {{ (keys + (['counts.sales_process'] if 'sales_process' in of else [])
        + (['counts.team_id'] if 'team' in of else [])) | join(', ') }}
    {%- if not loop.last %}
    union all
    {%- endif %}
    {%- endfor %}
)

select
    definition_id
    || ': ' || cast(as_of_on as {{ dbt.type_string() }})
    || ': ' || scope || ': ' || sales_process || ': ' || team_id as definition_day_key,
    definition_id,
    definition_version,
    as_of_on,
    scope,
    sales_process,
    team_id,
    team_name,
    mode,
    state,
    state_cause,
    cast(raw as bigint) as raw,
    cast(met as bigint) as met,
    cast(breached as bigint) as breached,
    cast(not_applicable as bigint) as not_applicable,
    cast(unknown as bigint) as unknown,
    unknown_causes,
    as_of_on = max(as_of_on) over (partition by definition_id) as is_latest,
    as_of
from scoped

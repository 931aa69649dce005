with run as (
    select as_of from {{ ref('stg_control__run') }}
),

measured as (
    select
        definition_id,
        definition_version,
        min(as_of) as first_measured_at
    from {{ ref('stg_audit__definition_history') }}
    where state = 'measured'
    group by definition_id, definition_version
),

numbered as (
    select
        *,
        row_number() over (
            partition by definition_id, definition_version, row_key
            order by first_seen_at
        ) as spell_no
    from {{ ref('stg_audit__ledger') }}
)

select
    spells.definition_id
    || ':' || cast(spells.definition_version as {{ dbt.type_string() }})
    || ':' || spells.row_key
    || ':' || cast(spells.spell_no as {{ dbt.type_string() }}) as spell_key,
    spells.definition_id,
    spells.definition_version,
    spells.row_key,
    spells.record_id,
    cast(spells.spell_no as integer) as spell_no,
    spells.first_seen_at,
    spells.last_seen_at,
    spells.resolved_at,
    spells.resolved_at is null as stands,
    {{ elapsed_days('spells.first_seen_at', 'coalesce(spells.resolved_at, run.as_of)') }} as days_known,
    coalesce(spells.first_seen_at <= measured.first_measured_at, false)
    and coalesce(deals.created_at < definitions.since_on, true) as is_backlog,
    spells.observed_value
from numbered as spells
cross join run
left join measured
    on spells.definition_id = measured.definition_id and spells.definition_version = measured.definition_version
left join {{ ref('stg_control__definition') }} as definitions
    on spells.definition_id = definitions.definition_id and spells.definition_version = definitions.version
left join {{ ref('fct_opportunities') }} as deals on spells.record_id = deals.opportunity_id

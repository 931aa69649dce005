with spells as (
    select
        definition_id,
        definition_version,
        row_key,
        max(first_seen_at) as first_seen_at,
        max(last_seen_at) as last_seen_at
    from {{ ref('stg_audit__ledger') }}
    where resolved_at is null
    group by definition_id, definition_version, row_key
)

select
    verdicts.definition_id || ':' || verdicts.row_key as verdict_key,
    verdicts.definition_id,
    verdicts.definition_version,
    verdicts.rule_number,
    verdicts.kind,
    verdicts.mode,
    verdicts.entity,
    verdicts.row_key,
    verdicts.record_id,
    verdicts.status,
    verdicts.observed_value,
    verdicts.cause,
    verdicts.sales_process,
    verdicts.owner_id,
    verdicts.threshold,
    spells.first_seen_at,
    spells.last_seen_at
from {{ ref('stg_audit__verdict') }} as verdicts
left join spells
    on
        verdicts.definition_id = spells.definition_id
        and verdicts.definition_version = spells.definition_version
        and verdicts.row_key = spells.row_key

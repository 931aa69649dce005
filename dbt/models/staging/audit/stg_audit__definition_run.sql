select
    definition_id,
    definition_version,
    rule_number,
    kind,
    mode,
    entity,
    state,
    state_cause,
    raw,
    met,
    breached,
    not_applicable,
    unknown,
    mostly,
    success,
    stops
from {{ source('audit', 'definition_run') }}

select
    as_of,
    as_of_on,
    definition_id,
    definition_version,
    kind,
    mode,
    entity,
    state,
    state_cause
from {{ source('audit', 'definition_history') }}

select
    definition_id,
    definition_version,
    rule_number,
    kind,
    mode,
    entity,
    row_key,
    record_id,
    status,
    observed_value,
    cause
from {{ source('audit', 'verdict') }}

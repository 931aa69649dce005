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
    cause,
    sales_process,
    owner_id,
    threshold
from {{ source('audit', 'verdict') }}

select
    definition_id,
    definition_version,
    record_id,
    row_key,
    first_seen_at,
    last_seen_at,
    resolved_at,
    observed_value
from {{ source('audit', 'ledger') }}

select
    decision_seq,
    batch_seq,
    action,
    record_id,
    definition_id,
    definition_version,
    until_on,
    assigned_to,
    why,
    decided_by,
    decided_at,
    seen_as_of,
    undoes_seq
from {{ source('audit', 'decision') }}

select
    decisions.decision_seq,
    decisions.batch_seq,
    decisions.action,
    decisions.record_id,
    decisions.definition_id,
    decisions.definition_version,
    decisions.until_on,
    decisions.assigned_to,
    decisions.why,
    decisions.decided_by,
    decisions.decided_at,
    decisions.seen_as_of,
    undone.decision_seq is null as stands,
    undone.decided_by as undone_by,
    undone.decided_at as undone_at,
    undone.why as undone_why
from {{ ref('stg_audit__decision') }} as decisions
left join {{ ref('stg_audit__decision') }} as undone on decisions.decision_seq = undone.undoes_seq
where decisions.undoes_seq is null

select
    proof.object,
    cast(proof.batch_seq as bigint) as batch_seq,
    proof.mode,
    cast(proof.counted as bigint) as counted,
    cast(proof.counted_after as bigint) as counted_after,
    cast(proof.received as bigint) as received,
    proof.proof,
    proof.read_at,
    {{ elapsed_days('proof.read_at', 'run.as_of') }} * 24 as hours_since_read,
    proof.ids_compared_at,
    {{ elapsed_days('proof.ids_compared_at', 'run.as_of') }} as days_since_ids_compared,
    proof.formulas_refreshed_at
from {{ ref('fct_extract_proof') }} as proof
cross join {{ ref('dim_run') }} as run

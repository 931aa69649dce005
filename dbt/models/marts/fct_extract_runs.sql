select
    run_seq,
    run_id,
    object,
    read_at,
    state,
    mode,
    received,
    landed,
    deleted,
    bytes,
    seconds,
    api_calls,
    api_calls_left
from {{ ref('stg_control__extract_run') }}

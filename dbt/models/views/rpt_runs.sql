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
    api_calls_left,
    bytes / 1e6 as mb_landed,
    case when seconds > 0 then received / seconds end as rows_per_second
from {{ ref('fct_extract_runs') }}

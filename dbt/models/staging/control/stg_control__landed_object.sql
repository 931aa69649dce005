select
    object,
    batch_seq,
    mode,
    counted,
    counted_after,
    received,
    read_at,
    is_first_load,
    is_whole
from {{ source('control', 'landed_object') }}

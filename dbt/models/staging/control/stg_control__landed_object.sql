select
    object,
    batch_seq,
    mode,
    counted,
    counted_after,
    received,
    read_at
from {{ source('control', 'landed_object') }}

select
    object,
    batch_seq,
    mode,
    counted,
    counted_after,
    received,
    read_at,
    is_first_load,
    is_whole,
    ids_compared_at,
    formulas_refreshed_at
from {{ source('control', 'landed_object') }}

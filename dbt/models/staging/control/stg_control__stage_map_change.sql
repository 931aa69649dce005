select
    sales_process,
    changed_at
from {{ source('control', 'stage_map_change') }}

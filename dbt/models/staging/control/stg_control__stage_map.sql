select
    sales_process,
    stage_name,
    stage_order,
    step,
    step_rank,
    location,
    is_closed,
    is_won,
    is_active
from {{ source('control', 'stage_map') }}

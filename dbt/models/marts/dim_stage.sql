select
    sales_process || ': ' || stage_name as stage_key,
    sales_process,
    stage_name,
    stage_order,
    step,
    step_rank,
    location,
    is_closed,
    is_won,
    is_active
from {{ ref('stg_control__stage_map') }}

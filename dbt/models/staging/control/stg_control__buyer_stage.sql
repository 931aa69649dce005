select
    sales_process,
    stage_name,
    buyer_stage
from {{ source('control', 'buyer_stage') }}

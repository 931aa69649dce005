select
    sales_process,
    stage_name,
    service_level_days,
    n_closed,
    frozen_at
from {{ source('control', 'service_level') }}

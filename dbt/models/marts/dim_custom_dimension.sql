select
    dimension_no,
    field,
    status
from {{ ref('stg_control__dimension') }}

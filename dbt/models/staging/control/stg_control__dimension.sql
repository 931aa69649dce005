select
    dimension_no,
    field,
    status
from {{ source('control', 'dimension') }}

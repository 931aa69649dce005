select
    object,
    field,
    status
from {{ source('control', 'field_inventory') }}

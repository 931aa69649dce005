select
    definition_id,
    object,
    field
from {{ source('control', 'definition_field') }}

select
    definition_id || ': ' || object || coalesce('.' || field, '') as definition_field_key,
    definition_id,
    object,
    field
from {{ ref('stg_control__definition_field') }}

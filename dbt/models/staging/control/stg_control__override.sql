select
    definition_id,
    definition_version,
    who,
    why,
    until_on,
    given_at
from {{ source('control', 'override') }}

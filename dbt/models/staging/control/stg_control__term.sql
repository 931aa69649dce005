select
    term,
    entity,
    version,
    title,
    condition_sql,
    owner,
    agreed_by,
    agreed_on,
    why
from {{ source('control', 'term') }}

select
    week_starts_on,
    stratum,
    draw,
    record_id,
    stratum_size,
    drawn_as_of,
    verdict,
    note,
    said_by,
    said_at
from {{ source('audit', 'sample') }}

select
    cast(week_starts_on as {{ dbt.type_string() }}) || ': ' || record_id as sample_key,
    week_starts_on,
    stratum,
    draw,
    record_id,
    case when stratum = 'dropped at lead' then 'Lead' else 'Opportunity' end as object,
    stratum_size,
    drawn_as_of,
    verdict,
    note,
    said_by,
    said_at
from {{ ref('stg_audit__sample') }}

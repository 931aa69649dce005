select
    as_of,
    definition_id,
    definition_version,
    sales_process,
    team_id,
    team_name,
    raw,
    met,
    breached,
    not_applicable,
    unknown,
    unknown_causes
from {{ source('audit', 'definition_count') }}

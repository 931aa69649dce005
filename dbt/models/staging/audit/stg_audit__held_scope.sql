select
    definition_id,
    definition_version,
    scope,
    scope_value,
    breached,
    judged,
    dependent_views
from {{ source('audit', 'held_scope') }}

select
    held_key,
    definition_id,
    definition_version,
    title,
    fix,
    scope,
    scope_value,
    breached,
    judged,
    is_overridden,
    n_deals,
    amount,
    dependent_views
from {{ ref('fct_held_scopes') }}

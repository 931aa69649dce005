select
    definition_id,
    definition_version,
    who,
    why,
    until_on,
    given_at,
    title,
    breached,
    is_needed,
    {{ elapsed_days('overrides.given_at', 'run.as_of') }} as days_standing
from {{ ref('fct_overrides') }} as overrides
cross join {{ ref('dim_run') }} as run

select
    overrides.definition_id,
    overrides.definition_version,
    overrides.who,
    overrides.why,
    overrides.until_on,
    overrides.given_at,
    overrides.title,
    overrides.breached,
    overrides.is_needed,
    {{ elapsed_days('overrides.given_at', 'run.as_of') }} as days_standing
from {{ ref('fct_overrides') }} as overrides
cross join {{ ref('dim_run') }} as run

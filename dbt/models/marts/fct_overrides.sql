select
    overrides.definition_id,
    overrides.definition_version,
    overrides.who,
    overrides.why,
    overrides.until_on,
    overrides.given_at,
    definitions.title,
    definitions.breached,
    coalesce(definitions.stops, false) as is_needed
from {{ ref('stg_control__override') }} as overrides
inner join {{ ref('dim_definition') }} as definitions
    on overrides.definition_id = definitions.definition_id and overrides.definition_version = definitions.definition_version

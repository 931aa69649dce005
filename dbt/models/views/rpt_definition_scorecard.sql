select
    definitions.definition_id,
    definitions.definition_version,
    definitions.rule_number,
    definitions.title,
    definitions.kind,
    definitions.mode,
    coalesce(definitions.state, 'not audited') as state,
    definitions.state_cause,
    definitions.raw,
    definitions.met,
    definitions.breached,
    definitions.not_applicable,
    definitions.unknown,
    case
        when definitions.met + definitions.breached >= run.minimum_n
            then cast(definitions.met as double) / (definitions.met + definitions.breached)
    end as met_rate,
    definitions.success,
    definitions.stops,
    run.as_of
from {{ ref('dim_definition') }} as definitions
cross join {{ ref('dim_run') }} as run

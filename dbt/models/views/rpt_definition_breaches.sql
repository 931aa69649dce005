select
    verdicts.verdict_key,
    verdicts.definition_id,
    verdicts.definition_version,
    verdicts.rule_number,
    definitions.title,
    verdicts.kind,
    verdicts.mode,
    verdicts.entity,
    verdicts.row_key,
    verdicts.record_id,
    verdicts.status,
    verdicts.cause,
    deals.opportunity_name as record_name,
    coalesce(deals.record_url, run.record_url_base || '/' || verdicts.record_id) as record_url,
    coalesce(deals.owner_id, activities.owner_id, verdicts.owner_id) as owner_id,
    coalesce(deals.owner_name, activity_owners.owner_name, owners.owner_name) as owner_name,
    deals.sales_process,
    deals.stage_name,
    deals.amount,
    deals.currency_code,
    deals.amount_corporate,
    -- a breach of a visit is told with the visit's stage: it need not be where the deal stands now
    case when visits.visit_id is not null then 'stage ' || visits.stage_name || ': ' else '' end
    || verdicts.observed_value as observed_value,
    coalesce(verdicts.threshold, definitions.threshold) as threshold,
    definitions.why,
    definitions.fix,
    definitions.accountable,
    standing.state,
    standing.who,
    standing.assigned_to,
    standing.until_on,
    standing.decided_by,
    standing.decided_at,
    standing.decided_why,
    standing.age,
    owners.team_name,
    verdicts.first_seen_at,
    verdicts.last_seen_at,
    {{ elapsed_days('verdicts.first_seen_at', 'run.as_of') }} as days_known,
    run.as_of
-- which rows are joined is told inside the key: beside it, a condition on the left side alone compares every row with every other
from {{ ref('fct_definition_verdicts') }} as verdicts
cross join {{ ref('dim_run') }} as run
inner join {{ ref('dim_definition') }} as definitions on verdicts.definition_id = definitions.definition_id
left join {{ ref('fct_opportunities') }} as deals on verdicts.record_id = deals.opportunity_id
left join {{ ref('fct_activities') }} as activities
    on case when verdicts.entity = 'activity' then verdicts.record_id end = activities.activity_id
left join {{ ref('dim_owner') }} as activity_owners on activities.owner_id = activity_owners.owner_id
left join {{ ref('fct_stage_visits') }} as visits
    on case when verdicts.entity = 'stage_visit' then verdicts.row_key end = visits.visit_id and visits.basis = 'reported'
left join {{ ref('dim_owner') }} as owners on verdicts.owner_id = owners.owner_id
left join {{ ref('fct_standing_breaches') }} as standing
    on
        case when verdicts.status = 'breached' then verdicts.definition_id end = standing.definition_id
        and coalesce(verdicts.record_id, verdicts.row_key) = standing.record_key

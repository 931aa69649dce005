select
    activities.activity_id,
    activities.activity_kind,
    activities.opportunity_id,
    activities.occurred_at,
    activities.direction,
    activities.is_customer_response,
    activities.owner_id
from {{ ref('int_activities') }} as activities

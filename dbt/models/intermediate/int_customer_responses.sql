select
    activity_id as response_id,
    opportunity_id,
    occurred_at as responded_at,
    case activity_kind when 'email' then 'email_inbound' else 'meeting_held' end as response_kind
from {{ ref('int_activities') }}
where is_customer_response and opportunity_id is not null

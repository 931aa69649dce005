select
    campaign_member_id,
    campaign_id,
    lead_id,
    contact_id,
    reached_at,
    responded_at,
    lead_id is not null and row_number() over (partition by lead_id order by reached_at, campaign_member_id) = 1 as is_first_of_lead
from {{ ref('int_campaign_responses') }}

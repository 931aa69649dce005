select
    campaign_id,
    campaign_name,
    parent_campaign_id,
    campaign_type,
    campaign_status,
    start_on,
    end_on,
    is_active,
    is_deleted
from {{ ref('int_campaigns') }}

select
    opportunity_id,
    campaign_id,
    attribution,
    touched_at
from {{ ref('int_opportunity_campaigns') }}

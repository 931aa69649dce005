with run as (
    select as_of
    from {{ ref('stg_control__run') }}
)

select
    campaigns.campaign_id,
    campaigns.campaign_name,
    campaigns.parent_campaign_id,
    campaigns.campaign_type,
    campaigns.campaign_status,
    campaigns.start_on,
    campaigns.end_on,
    campaigns.is_active,
    coalesce(campaigns.is_deleted and campaigns.last_modified_at <= run.as_of, false) as is_deleted
from {{ ref('stg_salesforce__campaign') }} as campaigns
cross join run
where campaigns.created_at <= run.as_of

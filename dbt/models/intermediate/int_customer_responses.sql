{{ config(materialized='view') }}

select
    activity_id as response_id,
    opportunity_id,
    occurred_at as responded_at,
    case
        when is_meeting_held then 'meeting_held'
        when activity_kind = 'email' then 'email_inbound'
        else 'other'
    end as response_kind
from {{ ref('int_activities') }}
where is_customer_response and opportunity_id is not null

{{ config(materialized='view') }}

with run as (
    select as_of from {{ ref('stg_control__run') }}
)

select
    activities.activity_id,
    activities.activity_kind,
    activities.opportunity_id,
    activities.case_id,
    activities.lead_id,
    activities.occurred_at,
    activities.direction,
    activities.is_meeting_held,
    activities.is_customer_response,
    activities.owner_id
from {{ ref('int_activity_log') }} as activities
cross join run
where activities.is_closed and activities.occurred_at <= run.as_of

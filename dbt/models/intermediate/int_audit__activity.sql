{{ config(materialized='view') }}

with run as (
    select * from {{ ref('stg_control__run') }}
),

activities as (
    select
        activities.*,
        run.record_url_base || '/' || activities.activity_id as record_url,
        run.as_of,
        coalesce(activities.is_closed and activities.occurred_at <= run.as_of, false) as is_observed,
        -- a closed task of a later date, where the org keeps no instant of completion
        case
            when activities.activity_kind = 'task' and activities.is_closed and activities.due_on > run.as_of_on
                then coalesce(activities.completed_at, cast(activities.due_on as timestamp))
            else activities.completed_at
        end as ended_at
    from {{ ref('int_activity_log') }} as activities
    cross join run
    where activities.created_at <= run.as_of
)

select
    activities.activity_id as record_id,
    activities.activity_id as row_key,
    activities.record_url,
    activities.activity_kind,
    activities.owner_id,
    owners.owner_name,
    activities.is_linked,
    activities.is_internal,
    -- in a replay, what was completed after as_of is no error; a time later than the clock that read it is one
    case
        when activities.ended_at <= activities.as_of or activities.ended_at > activities.extracted_at
            then activities.ended_at
    end as completed_at,
    activities.audited_direction as direction,
    activities.is_observed and activities.is_meeting_held as is_meeting_held,
    activities.is_observed and activities.is_customer_response as is_customer_response,
    activities.as_of
from activities
left join {{ ref('int_owners') }} as owners on activities.owner_id = owners.owner_id

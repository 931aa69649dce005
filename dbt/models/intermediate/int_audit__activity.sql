with run as (
    select * from {{ ref('stg_control__run') }}
),

-- an org without CallType cannot say a call's direction: that is no fault of the call
call_types_offered as (
    select count(*) as n
    from {{ ref('stg_control__field_inventory') }}
    where object = 'Task' and field = 'CallType' and status = 'present'
),

outside_attendees as (
    select distinct event_id
    from {{ ref('stg_salesforce__event_relation') }}
    where not is_deleted and substr(relation_id, 1, 3) in ('003', '00Q')
),

mail_tasks as (
    select distinct activity_id
    from {{ ref('stg_salesforce__email_message') }}
    where activity_id is not null
),

tasks as (
    select
        tasks.task_id as activity_id,
        'task' as activity_kind,
        tasks.owner_id,
        coalesce(substr(tasks.who_id, 1, 3) in ('003', '00Q') or substr(tasks.what_id, 1, 3) = '006', false) as is_linked,
        false as is_internal,
        case
            when not tasks.is_closed then null
            when tasks.completed_at is not null then tasks.completed_at
            -- a closed task of a later date, where the org keeps no instant of completion
            when tasks.activity_on > run.as_of_on then cast(tasks.activity_on as timestamp)
        end as completed_at,
        case
            when not tasks.is_closed then 'none'
            when tasks.call_type in ('Inbound', 'Outbound', 'Internal') then lower(tasks.call_type)
            when tasks.task_subtype = 'ListEmail' then 'outbound'
            when tasks.task_subtype = 'Call' and offered.n > 0 then null
            when tasks.task_subtype = 'Email' then null
            else 'none'
        end as direction,
        tasks.created_at,
        tasks._extracted_at as extracted_at
    from {{ ref('stg_salesforce__task') }} as tasks
    cross join run
    cross join call_types_offered as offered
    left join mail_tasks on tasks.task_id = mail_tasks.activity_id
    where not tasks.is_deleted and mail_tasks.activity_id is null
),

events as (
    select
        events.event_id as activity_id,
        'event' as activity_kind,
        events.owner_id,
        coalesce(
            substr(events.who_id, 1, 3) in ('003', '00Q')
            or outside_attendees.event_id is not null
            or substr(events.what_id, 1, 3) = '006',
            false
        ) as is_linked,
        outside_attendees.event_id is null and events.who_id is null and events.what_id is null as is_internal,
        cast(null as timestamp) as completed_at,
        'none' as direction,
        events.created_at,
        events._extracted_at as extracted_at
    from {{ ref('stg_salesforce__event') }} as events
    left join outside_attendees on events.event_id = outside_attendees.event_id
    where not events.is_deleted
),

mails as (
    select
        mails.email_message_id as activity_id,
        'email' as activity_kind,
        mails.created_by_id as owner_id,
        -- to whom a mail went is not landed: without a deal and without a task of its own nobody can tell
        case
            when substr(mails.related_to_id, 1, 3) = '006' then true
            when tasks.task_id is not null
                then coalesce(substr(tasks.who_id, 1, 3) in ('003', '00Q') or substr(tasks.what_id, 1, 3) = '006', false)
        end as is_linked,
        false as is_internal,
        mails.message_at as completed_at,
        case when mails.is_incoming then 'inbound' when not mails.is_incoming then 'outbound' end as direction,
        mails.created_at,
        mails._extracted_at as extracted_at
    from {{ ref('stg_salesforce__email_message') }} as mails
    left join {{ ref('stg_salesforce__task') }} as tasks on mails.activity_id = tasks.task_id
    -- status 5: a draft, never sent
    where not mails.is_deleted and coalesce(mails.email_status, '') <> '5'
),

activities as (
    select * from tasks
    union all
    select * from events
    union all
    select * from mails
)

select
    activities.activity_id as record_id,
    activities.activity_id as row_key,
    run.record_url_base || '/' || activities.activity_id as record_url,
    activities.activity_kind,
    activities.owner_id,
    owners.owner_name,
    activities.is_linked,
    activities.is_internal,
    -- in a replay, what was completed after as_of is no error; a time later than the clock that read it is one
    case
        when activities.completed_at <= run.as_of or activities.completed_at > activities.extracted_at
            then activities.completed_at
    end as completed_at,
    activities.direction,
    coalesce(observed.is_meeting_held, false) as is_meeting_held,
    coalesce(observed.is_customer_response, false) as is_customer_response,
    run.as_of
from activities
cross join run
left join {{ ref('int_activities') }} as observed on activities.activity_id = observed.activity_id
left join {{ ref('int_owners') }} as owners on activities.owner_id = owners.owner_id
where activities.created_at <= run.as_of

with run as (
    select as_of from {{ ref('stg_control__run') }}
),

outside_attendees as (
    select distinct event_id from {{ ref('int_meeting_attendees') }}
),

-- a mail is logged as a task too: counted once, as the mail
mail_tasks as (
    select distinct activity_id
    from {{ ref('stg_salesforce__email_message') }}
    where activity_id is not null
),

tasks as (
    select
        tasks.task_id as activity_id,
        'task' as activity_kind,
        tasks.what_id as related_id,
        tasks.who_id as person_id,
        coalesce(tasks.completed_at, cast(tasks.activity_on as timestamp), tasks.last_modified_at) as occurred_at,
        case
            when tasks.call_type = 'Inbound' then 'inbound'
            when tasks.call_type = 'Outbound' or tasks.task_subtype = 'ListEmail' then 'outbound'
            when tasks.call_type = 'Internal' then 'internal'
            else 'unknown'
        end as direction,
        coalesce(substr(tasks.who_id, 1, 3) in ('003', '00Q'), false) as is_with_customer,
        true as has_ended,
        false as is_bounced,
        tasks.owner_id
    from {{ ref('stg_salesforce__task') }} as tasks
    left join mail_tasks on tasks.task_id = mail_tasks.activity_id
    where tasks.is_closed and not tasks.is_deleted and mail_tasks.activity_id is null
),

events as (
    select
        events.event_id as activity_id,
        'event' as activity_kind,
        events.what_id as related_id,
        events.who_id as person_id,
        coalesce(events.ended_at, events.started_at, cast(events.activity_on as timestamp)) as occurred_at,
        outside_attendees.event_id is not null as is_with_customer,
        events.ended_at,
        events.owner_id
    from {{ ref('stg_salesforce__event') }} as events
    left join outside_attendees on events.event_id = outside_attendees.event_id
    where not events.is_deleted
),

mails as (
    select
        email_message_id as activity_id,
        'email' as activity_kind,
        coalesce(related_to_id, parent_id) as related_id,
        cast(null as {{ dbt.type_string() }}) as person_id,
        coalesce(message_at, created_at) as occurred_at,
        case when is_incoming then 'inbound' when not is_incoming then 'outbound' else 'unknown' end as direction,
        true as is_with_customer,
        true as has_ended,
        coalesce(is_bounced, false) as is_bounced,
        created_by_id as owner_id
    from {{ ref('stg_salesforce__email_message') }}
    -- status 5: a draft, never sent
    where not is_deleted and coalesce(email_status, '') <> '5'
),

activities as (
    select * from tasks
    union all
    select
        activity_id,
        activity_kind,
        related_id,
        person_id,
        occurred_at,
        case when is_with_customer then 'outbound' else 'internal' end as direction,
        is_with_customer,
        ended_at is not null as has_ended,
        false as is_bounced,
        owner_id
    from events
    union all
    select * from mails
)

select
    activities.activity_id,
    activities.activity_kind,
    case when substr(activities.related_id, 1, 3) = '006' then activities.related_id end as opportunity_id,
    case when substr(activities.related_id, 1, 3) = '500' then activities.related_id end as case_id,
    case when substr(activities.person_id, 1, 3) = '00Q' then activities.person_id end as lead_id,
    activities.occurred_at,
    activities.direction,
    {{ term('meeting_held') }} as is_meeting_held,
    {{ term('customer_response') }} as is_customer_response,
    activities.owner_id
from activities
cross join run
where activities.occurred_at <= run.as_of

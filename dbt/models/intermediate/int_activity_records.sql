{{ config(materialized='incremental', unique_key='activity_id', tags=['as_of_free']) }}

with
{%- if is_incremental() %}

changed_tasks as (
    select task_id
    from {{ ref('stg_salesforce__task') }}
    where _batch_seq > {{ reflected('_batch_seq', "activity_kind = 'task'") }}
),

changed_mails as (
    select
        email_message_id,
        activity_id
    from {{ ref('stg_salesforce__email_message') }}
    where _batch_seq > {{ reflected('_batch_seq', "activity_kind = 'email'") }}
),

-- a mail decides whether a task merely logs it, the task whether the mail is linked
concerned as (
    select task_id as concerned_id from changed_tasks
    union
    select email_message_id as concerned_id from changed_mails
    union
    select activity_id as concerned_id
    from changed_mails
    where activity_id is not null
    union
    select logged_as_task_id as concerned_id
    from {{ this }}
    where logged_as_task_id is not null and activity_id in (select email_message_id from changed_mails)
    union
    select email_message_id as concerned_id
    from {{ ref('stg_salesforce__email_message') }}
    where activity_id in (select task_id from changed_tasks)
    union
    select event_id as concerned_id
    from {{ ref('stg_salesforce__event') }}
    where _batch_seq > {{ reflected('_batch_seq', "activity_kind = 'event'") }}
    union
    -- the event of a relation never changes in Salesforce
    select event_id as concerned_id
    from {{ ref('stg_salesforce__event_relation') }}
    where _batch_seq > {{ reflected('_relation_batch_seq') }}
),
{%- endif %}

-- a mail is logged as a task too: counted once, as the mail
mail_tasks as (
    select distinct activity_id as task_id
    from {{ ref('stg_salesforce__email_message') }}
    where activity_id is not null{{ and_concerned('activity_id') }}
),

logging_tasks as (
    select
        tasks.task_id,
        tasks.who_id,
        tasks.what_id
    from {{ ref('stg_salesforce__task') }} as tasks
    inner join mail_tasks on tasks.task_id = mail_tasks.task_id
),

attendance as (
    select
        relations.event_id,
        max(case when {{ attends('relations') }} then 1 else 0 end) = 1 as has_attendee,
        max(case when not relations.is_deleted and {{ is_outsider('relations.relation_id') }} then 1 else 0 end) = 1 as names_outsider,
        max(relations._batch_seq) as _batch_seq
    from {{ ref('stg_salesforce__event_relation') }} as relations
    where relations.event_id is not null{{ and_concerned('relations.event_id') }}
    group by relations.event_id
),

tasks as (
    select
        tasks.task_id as activity_id,
        'task' as activity_kind,
        -- a task that leanfunnel wrote is an item of its worklist: work on the data, no touch
        not tasks.is_deleted and mail_tasks.task_id is null and tasks.leanfunnel_key is null as is_counted,
        tasks.what_id as related_id,
        tasks.who_id as person_id,
        coalesce(tasks.completed_at, cast(tasks.activity_on as timestamp), tasks.last_modified_at) as occurred_at,
        case
            when tasks.call_type = 'Inbound' then 'inbound'
            when tasks.call_type = 'Outbound' or tasks.task_subtype = 'ListEmail' then 'outbound'
            when tasks.call_type = 'Internal' then 'internal'
            else 'unknown'
        end as direction,
        case
            when not tasks.is_closed then 'none'
            when tasks.call_type in ('Inbound', 'Outbound', 'Internal') then lower(tasks.call_type)
            when tasks.task_subtype = 'ListEmail' then 'outbound'
            when tasks.task_subtype = 'Call' then 'a call'
            when tasks.task_subtype = 'Email' then null
            else 'none'
        end as stated_direction,
        coalesce(tasks.is_closed, false) as is_closed,
        coalesce({{ is_outsider('tasks.who_id') }}, false) as is_with_customer,
        false as is_with_person_named,
        true as has_ended,
        false as is_bounced,
        coalesce({{ is_outsider('tasks.who_id') }} or substr(tasks.what_id, 1, 3) = '006', false) as is_linked,
        false as is_internal,
        case when tasks.is_closed then tasks.completed_at end as completed_at,
        tasks.activity_on as due_on,
        tasks.owner_id,
        tasks.created_at,
        tasks._extracted_at as extracted_at,
        cast(null as {{ dbt.type_string() }}) as logged_as_task_id,
        tasks._batch_seq,
        cast(null as bigint) as _relation_batch_seq
    from {{ ref('stg_salesforce__task') }} as tasks
    left join mail_tasks on tasks.task_id = mail_tasks.task_id
    where true{{ and_concerned('tasks.task_id') }}
),

events as (
    select
        events.event_id as activity_id,
        'event' as activity_kind,
        not events.is_deleted as is_counted,
        events.what_id as related_id,
        events.who_id as person_id,
        coalesce(events.ended_at, events.started_at, cast(events.activity_on as timestamp)) as occurred_at,
        cast(null as {{ dbt.type_string() }}) as direction,
        'none' as stated_direction,
        true as is_closed,
        coalesce(attendance.has_attendee, false) as is_with_customer,
        coalesce({{ is_outsider('events.who_id') }}, false) as is_with_person_named,
        events.ended_at is not null as has_ended,
        false as is_bounced,
        coalesce(
            {{ is_outsider('events.who_id') }} or attendance.names_outsider or substr(events.what_id, 1, 3) = '006',
            false
        ) as is_linked,
        not coalesce(attendance.names_outsider, false) and events.who_id is null and events.what_id is null as is_internal,
        cast(null as timestamp) as completed_at,
        events.activity_on as due_on,
        events.owner_id,
        events.created_at,
        events._extracted_at as extracted_at,
        cast(null as {{ dbt.type_string() }}) as logged_as_task_id,
        events._batch_seq,
        attendance._batch_seq as _relation_batch_seq
    from {{ ref('stg_salesforce__event') }} as events
    left join attendance on events.event_id = attendance.event_id
    where true{{ and_concerned('events.event_id') }}
),

mails as (
    select
        mails.email_message_id as activity_id,
        'email' as activity_kind,
        -- status 5: a draft, never sent
        not mails.is_deleted and coalesce(mails.email_status, '') <> '5' as is_counted,
        coalesce(mails.related_to_id, mails.parent_id) as related_id,
        cast(null as {{ dbt.type_string() }}) as person_id,
        coalesce(mails.message_at, mails.created_at) as occurred_at,
        case when mails.is_incoming then 'inbound' when not mails.is_incoming then 'outbound' else 'unknown' end as direction,
        case when mails.is_incoming then 'inbound' when not mails.is_incoming then 'outbound' end as stated_direction,
        true as is_closed,
        true as is_with_customer,
        false as is_with_person_named,
        true as has_ended,
        coalesce(mails.is_bounced, false) as is_bounced,
        -- to whom a mail went is not landed: without a deal and without a task of its own nobody can tell
        case
            when substr(mails.related_to_id, 1, 3) = '006' then true
            when tasks.task_id is not null
                then coalesce({{ is_outsider('tasks.who_id') }} or substr(tasks.what_id, 1, 3) = '006', false)
        end as is_linked,
        false as is_internal,
        mails.message_at as completed_at,
        cast(null as date) as due_on,
        mails.created_by_id as owner_id,
        mails.created_at,
        mails._extracted_at as extracted_at,
        mails.activity_id as logged_as_task_id,
        mails._batch_seq,
        cast(null as bigint) as _relation_batch_seq
    from {{ ref('stg_salesforce__email_message') }} as mails
    left join logging_tasks as tasks on mails.activity_id = tasks.task_id
    where true{{ and_concerned('mails.email_message_id') }}
),

records as (
    select * from tasks
    union all
    select * from events
    union all
    select * from mails
)

select
    activity_id,
    activity_kind,
    is_counted,
    case when substr(related_id, 1, 3) = '006' then related_id end as opportunity_id,
    case when substr(related_id, 1, 3) = '500' then related_id end as case_id,
    case when substr(person_id, 1, 3) = '00Q' then person_id end as lead_id,
    occurred_at,
    direction,
    stated_direction,
    is_closed,
    is_with_customer,
    is_with_person_named,
    has_ended,
    is_bounced,
    is_linked,
    is_internal,
    completed_at,
    due_on,
    owner_id,
    created_at,
    extracted_at,
    logged_as_task_id,
    _batch_seq,
    _relation_batch_seq
from records

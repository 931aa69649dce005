with run as (
    select
        as_of,
        as_of_on,
        known_at
    from {{ ref('stg_control__run') }}
),

status_changes as (
    select
        history.lead_id,
        history.created_at as changed_at,
        history.new_value as lead_status,
        row_number() over (partition by history.lead_id order by history.created_at desc, history.lead_history_id desc) as recency
    from {{ ref('stg_salesforce__lead_history') }} as history
    cross join run
    where
        history.field_name = 'Status'
        and history.new_value is not null
        and history.created_at <= run.as_of
        and history._extracted_at <= run.known_at
),

statuses as (
    select
        lead_id,
        max(case when recency = 1 then lead_status end) as last_status,
        max(case when recency = 1 then changed_at end) as last_changed_at,
        -- into work: any status that is neither the first nor the end
        min(case when not {{ is_given_up('lead_status') }} then changed_at end) as first_working_at
    from status_changes
    group by lead_id
),

touches as (
    select
        coalesce(merged_away.master_id, activities.lead_id) as lead_id,
        min(activities.occurred_at) as first_touched_at
    from {{ ref('int_activities') }} as activities
    left join {{ ref('int_merged_records') }} as merged_away on activities.lead_id = merged_away.loser_id
    where activities.lead_id is not null and activities.direction in ('outbound', 'unknown')
    group by coalesce(merged_away.master_id, activities.lead_id)
),

told as (
    select
        leads.lead_id,
        leads.lead_source,
        leads.created_at,
        coalesce(leads.is_deleted and leads.last_modified_at <= run.as_of, false) as is_deleted,
        least(statuses.first_working_at, touches.first_touched_at) as first_worked_at,
        coalesce(leads.is_converted and leads.converted_on <= run.as_of_on, false) as is_converted,
        leads.converted_opportunity_id,
        leads.last_modified_at,
        case
            when statuses.lead_id is not null
                then case when {{ is_given_up('statuses.last_status') }} then statuses.last_changed_at end
            when {{ is_given_up('leads.lead_status') }} and leads.last_modified_at <= run.as_of then leads.last_modified_at
        end as given_up_at,
        case
            when statuses.lead_id is not null and {{ is_given_up('statuses.last_status') }} then statuses.last_changed_at
            else cast(leads.converted_on as timestamp)
        end as conversion_at
    from {{ ref('stg_salesforce__lead') }} as leads
    cross join run
    left join statuses on leads.lead_id = statuses.lead_id
    left join touches on leads.lead_id = touches.lead_id
    where leads.created_at <= run.as_of
),

ended as (
    select
        *,
        case when is_converted then conversion_at when is_deleted then last_modified_at else given_up_at end as ended_at,
        case when is_converted then coalesce(first_worked_at, conversion_at) else first_worked_at end as began_at
    from told
)

select
    lead_id,
    lead_source,
    created_at,
    case
        when is_deleted and not is_converted then 'deleted'
        when is_converted then 'converted'
        when given_up_at is not null then 'given up'
        else 'open'
    end as outcome,
    -- a date without a time of day may lie before the creation on that day
    case when ended_at < created_at then created_at else ended_at end as closed_at,
    case when began_at < created_at then created_at else began_at end as first_worked_at,
    case when is_converted then converted_opportunity_id end as opportunity_id
from ended

{{ config(materialized='view') }}

-- an org without EventRelation has only WhoId; one without CallType cannot say a call's direction, which is no fault of the call
with offered as (
    select
        max(case when object = 'EventRelation' and field is null then 1 else 0 end) = 1 as has_event_relations,
        max(case when object = 'Task' and field = 'CallType' then 1 else 0 end) = 1 as has_call_types
    from {{ ref('stg_control__field_inventory') }}
    where status = 'present'
),

records as (
    select
        records.*,
        offered.has_call_types,
        case
            when records.activity_kind = 'event' and not coalesce(offered.has_event_relations, false)
                then records.is_with_person_named
            else records.is_with_customer
        end as is_with_outsider
    from {{ ref('int_activity_records') }} as records
    cross join offered
    where records.is_counted
),

activities as (
    select
        activity_id,
        activity_kind,
        opportunity_id,
        case_id,
        lead_id,
        occurred_at,
        case
            when activity_kind <> 'event' then direction
            when is_with_outsider then 'outbound'
            else 'internal'
        end as direction,
        is_closed,
        is_with_outsider as is_with_customer,
        has_ended,
        is_bounced,
        owner_id,
        created_at,
        is_linked,
        is_internal,
        completed_at,
        due_on,
        case
            when stated_direction = 'a call' then case when not coalesce(has_call_types, false) then 'none' end
            else stated_direction
        end as audited_direction,
        extracted_at
    from records
)

select
    activity_id,
    activity_kind,
    opportunity_id,
    case_id,
    lead_id,
    occurred_at,
    direction,
    is_closed,
    {{ term('meeting_held') }} as is_meeting_held,
    {{ term('customer_response') }} as is_customer_response,
    owner_id,
    created_at,
    is_linked,
    is_internal,
    completed_at,
    due_on,
    audited_direction,
    extracted_at
from activities

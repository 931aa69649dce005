{{ config(
    materialized='incremental', incremental_strategy='append', tags=['deal_by_deal'],
    pre_hook=["{{ delete_marked_deals() }}", "{{ increments_as_written() }}"], post_hook="{{ joins_as_estimated() }}"
) }}

with run as (
    select * from {{ ref('stg_control__run') }}
),

-- a push is a close date moved to a later day
dated as (
    select
        history.opportunity_id,
        history.created_at,
        history.close_on > lag(history.close_on) over (
            partition by history.opportunity_id
            order by history.created_at, history.system_modstamp_at, history.opportunity_history_id
        ) as is_push
    from {{ ref('stg_salesforce__opportunity_history') }} as history
    cross join run
    where
        history._extracted_at <= run.known_at
        and history.created_at <= run.as_of
        and {{ is_made_anew('history.opportunity_id') }}
),

reviewed as (
    select
        opportunity_id,
        close_date_reviewed_on
    from {{ ref('stg_salesforce__opportunity') }}
    where close_date_reviewed_on is not null and {{ is_made_anew('opportunity_id') }}
),

-- all that is counted or dated per deal, one below the other: a single aggregation instead of a join for each
told as (
    select
        dated.opportunity_id,
        dated.created_at as history_at,
        case when dated.is_push then 1 else 0 end as pushes,
        -- a push on the day of the review is what was reviewed
        case
            when dated.is_push and cast(dated.created_at as date) > coalesce(reviewed.close_date_reviewed_on, cast('0001-01-01' as date))
                then 1
            else 0
        end as pushes_since_review,
        0 as contact_roles,
        cast(null as timestamp) as responded_at,
        cast(null as timestamp) as met_at
    from dated
    left join reviewed on dated.opportunity_id = reviewed.opportunity_id
    union all
    -- in a replay, what happened after as_of is no error; a timestamp later than the clock that read it is one
    select
        history.opportunity_id,
        history.created_at as history_at,
        null as pushes,
        null as pushes_since_review,
        0 as contact_roles,
        null as responded_at,
        null as met_at
    from {{ ref('stg_salesforce__opportunity_history') }} as history
    cross join run
    where
        history._extracted_at <= run.known_at
        and history.created_at > run.as_of
        and history.created_at > history._extracted_at
        and {{ is_made_anew('history.opportunity_id') }}
    union all
    select
        roles.opportunity_id,
        null as history_at,
        null as pushes,
        null as pushes_since_review,
        1 as contact_roles,
        null as responded_at,
        null as met_at
    from {{ ref('stg_salesforce__opportunity_contact_role') }} as roles
    cross join run
    where
        roles.created_at <= run.as_of
        and (not roles.is_deleted or roles.last_modified_at > run.as_of)
        and {{ is_made_anew('roles.opportunity_id') }}
    union all
    select
        opportunity_id,
        null as history_at,
        null as pushes,
        null as pushes_since_review,
        0 as contact_roles,
        case when is_customer_response then occurred_at end as responded_at,
        case when is_meeting_held then occurred_at end as met_at
    from {{ ref('int_activities') }}
    where opportunity_id is not null and (is_customer_response or is_meeting_held) and {{ is_made_anew('opportunity_id') }}
),

evidence as (
    select
        opportunity_id,
        max(history_at) as last_history_at,
        cast(sum(pushes) as bigint) as close_date_pushes,
        cast(sum(pushes_since_review) as bigint) as pushes_since_review,
        cast(sum(contact_roles) as bigint) as contact_role_count,
        max(responded_at) as last_customer_response_at,
        min(met_at) as meeting_held_at
    from told
    group by opportunity_id
)

select
    records.opportunity_id,
    records.loss_reason,
    records.skip_reason,
    records.return_reason,
    records.close_date_reviewed_on,
    evidence.last_history_at,
    evidence.close_date_pushes,
    evidence.pushes_since_review,
    coalesce(evidence.contact_role_count, 0) as contact_role_count,
    evidence.last_customer_response_at,
    evidence.meeting_held_at
from {{ ref('stg_salesforce__opportunity') }} as records
left join evidence on records.opportunity_id = evidence.opportunity_id
where {{ is_made_anew('records.opportunity_id') }}

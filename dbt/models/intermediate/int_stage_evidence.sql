with run as (
    select
        as_of,
        known_at
    from {{ ref('stg_control__run') }}
),

opportunities as (
    select
        opportunity_id,
        amount,
        last_modified_at
    from {{ ref('int_opportunities') }}
),

amount_in_history as (
    select
        history.opportunity_id,
        min(history.created_at) as first_evidenced_at
    from {{ ref('stg_salesforce__opportunity_history') }} as history
    cross join run
    where history.amount > 0 and history.created_at <= run.as_of and history._extracted_at <= run.known_at
    group by history.opportunity_id
),

-- where the history shows no amount, the record's own is evidence from its last change on: no earlier date is proven
amount as (
    select
        opportunities.opportunity_id,
        'amount' as evidence,
        coalesce(amount_in_history.first_evidenced_at, opportunities.last_modified_at) as first_evidenced_at
    from opportunities
    left join amount_in_history on opportunities.opportunity_id = amount_in_history.opportunity_id
    where amount_in_history.first_evidenced_at is not null or opportunities.amount > 0
),

contact_role as (
    select
        roles.opportunity_id,
        'contact_role' as evidence,
        min(roles.created_at) as first_evidenced_at
    from {{ ref('stg_salesforce__opportunity_contact_role') }} as roles
    cross join run
    where roles.created_at <= run.as_of and (not roles.is_deleted or roles.last_modified_at > run.as_of)
    group by roles.opportunity_id
),

meeting_held as (
    select
        opportunity_id,
        'meeting_held' as evidence,
        min(occurred_at) as first_evidenced_at
    from {{ ref('int_activities') }}
    where is_meeting_held and opportunity_id is not null
    group by opportunity_id
),

evidence as (
    select * from amount
    union all
    select * from contact_role
    union all
    select * from meeting_held
)

select
    evidence.opportunity_id,
    evidence.evidence,
    evidence.first_evidenced_at
from evidence
inner join opportunities on evidence.opportunity_id = opportunities.opportunity_id
cross join run
where evidence.first_evidenced_at <= run.as_of

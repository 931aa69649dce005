-- people of the customer's have the key prefixes 003 (Contact) and 00Q (Lead); an org without EventRelation has only WhoId
with event_relations_offered as (
    select count(*) as n
    from {{ ref('stg_control__field_inventory') }}
    where object = 'EventRelation' and field is null and status = 'present'
)

select distinct
    relations.event_id,
    relations.relation_id as person_id
from {{ ref('stg_salesforce__event_relation') }} as relations
cross join event_relations_offered as offered
where
    offered.n > 0
    and not relations.is_deleted
    and substr(relations.relation_id, 1, 3) in ('003', '00Q')
    and coalesce(relations.response_status, '') <> 'Declined'
union all
select
    events.event_id,
    events.who_id as person_id
from {{ ref('stg_salesforce__event') }} as events
cross join event_relations_offered as offered
where offered.n = 0 and substr(events.who_id, 1, 3) in ('003', '00Q')

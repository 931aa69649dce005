-- an org without EventRelation has only WhoId
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
where offered.n > 0 and {{ attends('relations') }}
union all
select
    events.event_id,
    events.who_id as person_id
from {{ ref('stg_salesforce__event') }} as events
cross join event_relations_offered as offered
where offered.n = 0 and {{ is_outsider('events.who_id') }}

{#- Of the record, only what is known before the outcome; everything else is rebuilt as it stood at the entry. -#}
{%- set record_traits = known_before_outcome(['lead_source', 'opportunity_type']) -%}
with run as (
    select known_at from {{ ref('stg_control__run') }}
),

entries as (
    select
        'reported: ' || visit_id as visit_key,
        opportunity_id,
        entered_at,
        stages_skipped
    from {{ ref('int_stage_visits') }}
    where is_first_entry and is_mapped and not is_closed_stage and not is_start_imputed
    union all
    select
        'defined: ' || visit_id as visit_key,
        opportunity_id,
        entered_at,
        stages_skipped
    from {{ ref('int_evidenced_stage_visits') }}
    where is_first_entry and is_mapped and not is_closed_stage and not is_start_imputed
),

deals as (
    select
        deals.opportunity_id,
        {%- for trait in record_traits %}
        deals.{{ trait }},
        {%- endfor %}
        deals.is_won,
        deals.is_deleted,
        deals.closed_at,
        accounts.surviving_account_id,
        accounts.industry,
        accounts.created_at as account_created_at
    from {{ ref('int_opportunities') }} as deals
    left join {{ ref('int_accounts') }} as accounts on deals.account_id = accounts.account_id
),

first_wins as (
    select
        surviving_account_id,
        min(closed_at) as first_won_at
    from deals
    where is_won and not is_deleted and surviving_account_id is not null
    group by surviving_account_id
),

roles as (
    select
        entries.visit_key,
        count(distinct coalesce(merges.master_id, roles.contact_id)) as n
    from entries
    inner join {{ ref('stg_salesforce__opportunity_contact_role') }} as roles on entries.opportunity_id = roles.opportunity_id
    left join {{ ref('int_merged_records') }} as merges on roles.contact_id = merges.loser_id
    where roles.created_at <= entries.entered_at and (not roles.is_deleted or roles.last_modified_at > entries.entered_at)
    group by entries.visit_key
),

responses as (
    select
        entries.visit_key,
        count(*) as n
    from entries
    inner join {{ ref('int_customer_responses') }} as responses on entries.opportunity_id = responses.opportunity_id
    where responses.responded_at <= entries.entered_at
    group by entries.visit_key
),

-- as in int_activities: an org without EventRelation has only WhoId
event_relations_offered as (
    select count(*) as n
    from {{ ref('stg_control__field_inventory') }}
    where object = 'EventRelation' and field is null and status = 'present'
),

attendees as (
    select
        event_id,
        relation_id as person_id
    from {{ ref('stg_salesforce__event_relation') }}
    where not is_deleted and substr(relation_id, 1, 3) in ('003', '00Q') and coalesce(response_status, '') <> 'Declined'
    union
    select
        events.event_id,
        events.who_id as person_id
    from {{ ref('stg_salesforce__event') }} as events
    cross join event_relations_offered as offered
    where offered.n = 0 and substr(events.who_id, 1, 3) in ('003', '00Q')
),

people as (
    select
        entries.visit_key,
        count(distinct coalesce(merges.master_id, attendees.person_id)) as n
    from entries
    inner join {{ ref('int_customer_responses') }} as responses on entries.opportunity_id = responses.opportunity_id
    inner join attendees on responses.response_id = attendees.event_id
    left join {{ ref('int_merged_records') }} as merges on attendees.person_id = merges.loser_id
    where responses.response_kind = 'meeting_held' and responses.responded_at <= entries.entered_at
    group by entries.visit_key
),

amounts as (
    select
        history.opportunity_id,
        min(history.created_at) as first_amount_at
    from {{ ref('stg_salesforce__opportunity_history') }} as history
    cross join run
    where history.amount > 0 and history._extracted_at <= run.known_at
    group by history.opportunity_id
)

select
    entries.visit_key,
    entries.opportunity_id,
    entries.entered_at,
    {%- for trait in record_traits %}
    deals.{{ trait }},
    {%- endfor %}
    case when deals.account_created_at <= entries.entered_at then deals.industry end as industry,
    case
        when deals.surviving_account_id is null then null
        -- strictly before: a deal won at the very instant of its own entry is no customer yet
        when first_wins.first_won_at < entries.entered_at then 'customer'
        else 'no win yet'
    end as account_standing,
    case coalesce(roles.n, 0) when 0 then '0' when 1 then '1' when 2 then '2' else '3 or more' end as contact_roles,
    case when coalesce(responses.n, 0) = 0 then '0' when responses.n <= 2 then '1 to 2' else '3 or more' end as responses_before,
    case coalesce(people.n, 0) when 0 then '0' when 1 then '1' else '2 or more' end as people_met,
    case when amounts.first_amount_at <= entries.entered_at then 'named' else 'not named' end as amount_at_entry,
    case when entries.stages_skipped > 0 then 'skipped a stage' else 'in order' end as way_in
from entries
inner join deals on entries.opportunity_id = deals.opportunity_id
left join first_wins on deals.surviving_account_id = first_wins.surviving_account_id
left join roles on entries.visit_key = roles.visit_key
left join responses on entries.visit_key = responses.visit_key
left join people on entries.visit_key = people.visit_key
left join amounts on entries.opportunity_id = amounts.opportunity_id

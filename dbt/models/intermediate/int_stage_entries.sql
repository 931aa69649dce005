{{ config(
    materialized='incremental', incremental_strategy='append', tags=['deal_by_deal'],
    pre_hook=["{{ delete_marked_deals() }}", "{{ increments_as_written() }}"], post_hook="{{ joins_as_estimated() }}"
) }}

{#- Of the record, only what is known before the outcome; everything else is rebuilt as it stood at the entry. -#}
{%- set record_traits = known_before_outcome(['lead_source', 'segment', 'opportunity_type']) -%}
with run as (
    select known_at from {{ ref('stg_control__run') }}
),

entries as (
    {%- for basis, visits in [('reported', ref('int_stage_visits')), ('defined', ref('int_evidenced_stage_visits'))] %}
    select
        '{{ basis }}' as basis,
        opportunity_id,
        visit_seq,
        stage_name,
        stage_order,
        entered_at,
        stages_skipped
    from {{ visits }}
    where
        is_first_entry and is_mapped and not is_closed_stage
        and not is_start_imputed
        and {{ is_made_anew('opportunity_id') }}
    {{ 'union all' if not loop.last }}
    {%- endfor %}
),

deals as (
    select
        deals.opportunity_id,
        {%- for trait in record_traits %}
        deals.{{ trait }},
        {%- endfor %}
        accounts.surviving_account_id,
        accounts.industry,
        accounts.created_at as account_created_at
    from {{ ref('int_opportunities') }} as deals
    left join {{ ref('int_accounts') }} as accounts on deals.account_id = accounts.account_id
    where {{ is_made_anew('deals.opportunity_id') }}
),

-- of all deals of the account
first_wins as (
    select
        accounts.surviving_account_id,
        min(deals.closed_at) as first_won_at
    from {{ ref('int_opportunities') }} as deals
    inner join {{ ref('int_accounts') }} as accounts on deals.account_id = accounts.account_id
    where deals.is_won and not deals.is_deleted
    group by accounts.surviving_account_id
),

-- what only grows is told by when the first and the nth was there; so is who has a role, on deals that never lost one
contacts as (
    select
        roles.opportunity_id,
        coalesce(merged_away.master_id, roles.contact_id) as contact_id,
        min(roles.created_at) as created_at
    from {{ ref('stg_salesforce__opportunity_contact_role') }} as roles
    left join {{ ref('int_merged_records') }} as merged_away on roles.contact_id = merged_away.loser_id
    where {{ is_made_anew('roles.opportunity_id') }}
    group by roles.opportunity_id, coalesce(merged_away.master_id, roles.contact_id)
),

numbered_contacts as (
    select
        opportunity_id,
        created_at,
        row_number() over (partition by opportunity_id order by created_at) as contact_no
    from contacts
),

roles_grown as (
    select
        opportunity_id,
        min(created_at) as first_at,
        min(case when contact_no = 2 then created_at end) as second_at,
        min(case when contact_no = 3 then created_at end) as third_at
    from numbered_contacts
    where contact_no <= 3
    group by opportunity_id
),

deals_with_roles_lost as (
    select distinct opportunity_id
    from {{ ref('stg_salesforce__opportunity_contact_role') }}
    where is_deleted and {{ is_made_anew('opportunity_id') }}
),

-- both bases enter mostly at the same instants: what stood then is looked up once for each
instants as (
    select distinct
        entries.opportunity_id,
        entries.entered_at
    from entries
    inner join deals_with_roles_lost on entries.opportunity_id = deals_with_roles_lost.opportunity_id
),

roles_standing as (
    select
        instants.opportunity_id,
        instants.entered_at,
        count(distinct coalesce(merged_away.master_id, roles.contact_id)) as n
    from instants
    inner join {{ ref('stg_salesforce__opportunity_contact_role') }} as roles on instants.opportunity_id = roles.opportunity_id
    left join {{ ref('int_merged_records') }} as merged_away on roles.contact_id = merged_away.loser_id
    where roles.created_at <= instants.entered_at and (not roles.is_deleted or roles.last_modified_at > instants.entered_at)
    group by instants.opportunity_id, instants.entered_at
),

numbered_responses as (
    select
        opportunity_id,
        responded_at,
        row_number() over (partition by opportunity_id order by responded_at) as response_no
    from {{ ref('int_customer_responses') }}
    where {{ is_made_anew('opportunity_id') }}
),

responses as (
    select
        opportunity_id,
        min(responded_at) as first_at,
        min(case when response_no = 3 then responded_at end) as third_at
    from numbered_responses
    where response_no in (1, 3)
    group by opportunity_id
),

met as (
    select
        meetings.opportunity_id,
        coalesce(merged_away.master_id, attendees.person_id) as person_id,
        min(meetings.occurred_at) as met_at
    from {{ ref('int_activities') }} as meetings
    inner join {{ ref('int_meeting_attendees') }} as attendees on meetings.activity_id = attendees.event_id
    left join {{ ref('int_merged_records') }} as merged_away on attendees.person_id = merged_away.loser_id
    where meetings.is_meeting_held and meetings.opportunity_id is not null and {{ is_made_anew('meetings.opportunity_id') }}
    group by meetings.opportunity_id, coalesce(merged_away.master_id, attendees.person_id)
),

numbered_people as (
    select
        opportunity_id,
        met_at,
        row_number() over (partition by opportunity_id order by met_at) as person_no
    from met
),

people as (
    select
        opportunity_id,
        min(met_at) as first_at,
        min(case when person_no = 2 then met_at end) as second_at
    from numbered_people
    where person_no <= 2
    group by opportunity_id
),

amounts as (
    select
        history.opportunity_id,
        min(history.created_at) as first_amount_at
    from {{ ref('stg_salesforce__opportunity_history') }} as history
    cross join run
    where history.amount > 0 and history._extracted_at <= run.known_at and {{ is_made_anew('history.opportunity_id') }}
    group by history.opportunity_id
),

-- what came of the visit, beside what was known before it
evidence as (
    select
        'reported' as basis,
        opportunity_id,
        visit_seq,
        evidenced_stage_at_end
    from {{ ref('int_visit_evidence') }}
    where is_first_entry and evidenced_stage_at_end is not null and {{ is_made_anew('opportunity_id') }}
)

select
    entries.basis,
    entries.opportunity_id,
    entries.visit_seq,
    entries.stage_name,
    entries.stage_order,
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
    case
        when deals_with_roles_lost.opportunity_id is not null
            then case coalesce(roles_standing.n, 0) when 0 then '0' when 1 then '1' when 2 then '2' else '3 or more' end
        when roles_grown.third_at <= entries.entered_at then '3 or more'
        when roles_grown.second_at <= entries.entered_at then '2'
        when roles_grown.first_at <= entries.entered_at then '1'
        else '0'
    end as contact_roles,
    case
        when responses.third_at <= entries.entered_at then '3 or more'
        when responses.first_at <= entries.entered_at then '1 to 2'
        else '0'
    end as responses_before,
    case
        when people.second_at <= entries.entered_at then '2 or more'
        when people.first_at <= entries.entered_at then '1'
        else '0'
    end as people_met,
    case when amounts.first_amount_at <= entries.entered_at then 'named' else 'not named' end as amount_at_entry,
    case when entries.stages_skipped > 0 then 'skipped a stage' else 'in order' end as way_in,
    evidence.evidenced_stage_at_end
from entries
inner join deals on entries.opportunity_id = deals.opportunity_id
left join first_wins on deals.surviving_account_id = first_wins.surviving_account_id
left join roles_grown on entries.opportunity_id = roles_grown.opportunity_id
left join deals_with_roles_lost on entries.opportunity_id = deals_with_roles_lost.opportunity_id
left join roles_standing
    on entries.opportunity_id = roles_standing.opportunity_id and entries.entered_at = roles_standing.entered_at
left join responses on entries.opportunity_id = responses.opportunity_id
left join people on entries.opportunity_id = people.opportunity_id
left join amounts on entries.opportunity_id = amounts.opportunity_id
left join evidence
    on
        {{ checksum(['entries.basis', 'entries.opportunity_id', 'entries.visit_seq']) }}
        = {{ checksum(['evidence.basis', 'evidence.opportunity_id', 'evidence.visit_seq']) }}

{{ config(
    materialized='incremental', incremental_strategy='append', tags=['deal_by_deal'],
    pre_hook=["{{ delete_marked_deals() }}", "{{ increments_as_written() }}"], post_hook="{{ joins_as_estimated() }}"
) }}

{%- set rules = entry_rules() -%}

with run as (
    select
        as_of,
        known_at
    from {{ ref('stg_control__run') }}
),

opportunities as (
    select
        opportunity_id,
        sales_process,
        opportunity_type,
        segment,
        currency_code,
        account_id,
        owner_id,
        amount,
        last_modified_at
    from {{ ref('int_opportunities') }}
    where {{ is_made_anew('opportunity_id') }}
),

meetings as (
    select
        opportunity_id,
        min(occurred_at) as meeting_held_at
    from {{ ref('int_activities') }}
    where is_meeting_held and opportunity_id is not null and {{ is_made_anew('opportunity_id') }}
    group by opportunity_id
),

-- what could be seen of a deal, and when
sightings as (
    select
        history.opportunity_id,
        'amount' as evidence,
        history.created_at as seen_at,
        false as is_of_record,
        history.amount,
        cast(null as integer) as contact_role_count,
        cast(null as timestamp) as meeting_held_at
    from {{ ref('stg_salesforce__opportunity_history') }} as history
    cross join run
    where
        history.created_at <= run.as_of
        and history._extracted_at <= run.known_at
        and {{ is_made_anew('history.opportunity_id') }}
    union all
    select
        opportunity_id,
        'amount' as evidence,
        last_modified_at as seen_at,
        true as is_of_record,
        amount,
        cast(null as integer) as contact_role_count,
        cast(null as timestamp) as meeting_held_at
    from opportunities
    union all
    select
        roles.opportunity_id,
        'contact_role' as evidence,
        roles.created_at as seen_at,
        false as is_of_record,
        cast(null as decimal(18, 2)) as amount,
        cast(row_number() over (
            partition by roles.opportunity_id
            order by roles.created_at, roles.opportunity_contact_role_id
        ) as integer) as contact_role_count,
        cast(null as timestamp) as meeting_held_at
    from {{ ref('stg_salesforce__opportunity_contact_role') }} as roles
    cross join run
    where
        roles.created_at <= run.as_of
        and (not roles.is_deleted or roles.last_modified_at > run.as_of)
        and {{ is_made_anew('roles.opportunity_id') }}
    union all
    select
        opportunity_id,
        'meeting_held' as evidence,
        meeting_held_at as seen_at,
        false as is_of_record,
        cast(null as decimal(18, 2)) as amount,
        cast(null as integer) as contact_role_count,
        meeting_held_at
    from meetings
),

seen as (
    select
        sightings.*,
        opportunities.sales_process,
        opportunities.opportunity_type,
        opportunities.segment,
        opportunities.currency_code,
        opportunities.account_id,
        opportunities.owner_id
    from sightings
    inner join opportunities on sightings.opportunity_id = opportunities.opportunity_id
),

-- where the history never shows it, the record itself is evidence from its last change on: no earlier date is proven
evidence as (
    {%- for rule in rules %}
        select
            opportunity_id,
            '{{ rule.definition_id }}' as definition_id,
            true as is_asked,
            coalesce(min(case when not is_of_record then seen_at end), min(seen_at)) as first_evidenced_at
        from seen
        where evidence = '{{ rule.evidence }}' and ({{ rule.evidence_sql }}) and coalesce({{ rule.asked_sql }}, true)
        group by opportunity_id
        union all
        -- of whom nobody asks it, it holds from the beginning
        select
            opportunity_id,
            '{{ rule.definition_id }}' as definition_id,
            false as is_asked,
            {{ beginning_of_time() }} as first_evidenced_at
        from opportunities
        where not coalesce({{ rule.asked_sql }}, true)
        union all
    {%- endfor %}
    select
        opportunity_id,
        cast(null as {{ dbt.type_string() }}) as definition_id,
        true as is_asked,
        seen_at as first_evidenced_at
    from seen
    where false
)

select
    evidence.opportunity_id,
    evidence.definition_id,
    evidence.is_asked,
    evidence.first_evidenced_at
from evidence
cross join run
where evidence.first_evidenced_at <= run.as_of

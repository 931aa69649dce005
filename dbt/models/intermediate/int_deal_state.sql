{{ config(post_hook="{{ drop_what_is_mostly_marked() }}") }}

{#- What was marked before stays marked until all that works deal by deal has been built: only then is it reflected. -#}
{%- set before = load_relation(this) if execute and not should_full_refresh() else none -%}
{%- set reflected = none -%}
{%- if before -%}
    {%- set reflected = adapter.get_relation(database=this.database, schema=this.schema, identifier='int_deals_reflected') -%}
{%- endif -%}
with run as (
    select
        as_of,
        known_at,
        corporate_currency
    from {{ ref('stg_control__run') }}
),

-- what is asked of every deal: a change of it marks all of them
asked as (
    select sum(told.checksum) as checksum
    from (
        select {{ sum_of_checksums('definitions') }} as checksum
        from {{ ref('stg_control__definition') }} as definitions
        where definitions.kind = 'stage_entry'
        union all
        select {{ sum_of_checksums('stages') }} as checksum
        from {{ ref('stg_control__stage_map') }} as stages
        where stages.stage_name is not null
    ) as told
),

-- a row that changed, or was taken out, came with a later batch; millions of rows are grouped by the number of their deal
history as (
    select
        {{ deal_key('history.opportunity_id') }} as deal_key,
        max(history._batch_seq) as newest_batch,
        count(case when history.created_at <= run.as_of then 1 end) as n_until
    from {{ ref('stg_salesforce__opportunity_history') }} as history
    cross join run
    where history._extracted_at <= run.known_at
    group by {{ deal_key('history.opportunity_id') }}
),

-- an activity may move to another deal: what counts is which ones a deal has
activities as (
    select
        {{ deal_key('opportunity_id') }} as deal_key,
        {{ sum_of_checksums([
            'activity_id', 'activity_kind', 'occurred_at', 'direction', 'is_meeting_held', 'is_customer_response',
        ]) }} as checksum
    from {{ ref('int_activities') }}
    where opportunity_id is not null
    group by {{ deal_key('opportunity_id') }}
),

people as (
    select
        {{ deal_key('met.opportunity_id') }} as deal_key,
        {{ sum_of_checksums([
            'met.record_id', 'coalesce(merged_away.master_id, met.person_id)', 'met.since_at', 'met.until_at', 'met.is_over',
        ]) }} as checksum
    from (
        select
            meetings.opportunity_id,
            meetings.activity_id as record_id,
            attendees.person_id,
            meetings.occurred_at as since_at,
            cast(null as timestamp) as until_at,
            false as is_over
        from {{ ref('int_activities') }} as meetings
        inner join {{ ref('int_meeting_attendees') }} as attendees on meetings.activity_id = attendees.event_id
        where meetings.is_meeting_held and meetings.opportunity_id is not null
        union all
        select
            roles.opportunity_id,
            roles.opportunity_contact_role_id as record_id,
            roles.contact_id as person_id,
            roles.created_at as since_at,
            case when roles.is_deleted then roles.last_modified_at end as until_at,
            coalesce(roles.is_deleted and roles.last_modified_at <= run.as_of, false) as is_over
        from {{ ref('stg_salesforce__opportunity_contact_role') }} as roles
        cross join run
        where roles.created_at <= run.as_of
    ) as met
    left join {{ ref('int_merged_records') }} as merged_away on met.person_id = merged_away.loser_id
    group by {{ deal_key('met.opportunity_id') }}
),

-- what other deals of the same account won is known at an entry, too
first_wins as (
    select
        accounts.surviving_account_id,
        min(deals.closed_at) as first_won_at
    from {{ ref('int_opportunities') }} as deals
    inner join {{ ref('int_accounts') }} as accounts on deals.account_id = accounts.account_id
    where deals.is_won and not deals.is_deleted
    group by accounts.surviving_account_id
),

-- what an amount is worth: rates of the currencies that the deal ever knew; the corporate one is not converted
rates as (
    select
        told.currency_code,
        sum(told.checksum) as checksum
    from (
        select
            currency_code,
            {{ sum_of_checksums(['conversion_rate', 'is_corporate']) }} as checksum
        from {{ ref('stg_salesforce__currency_type') }}
        where not is_deleted and not coalesce(is_corporate, false)
        group by currency_code
        union all
        select
            currency_code,
            {{ sum_of_checksums(['conversion_rate', 'start_on', 'next_start_on']) }} as checksum
        from {{ ref('stg_salesforce__dated_conversion_rate') }}
        where not is_deleted
        group by currency_code
    ) as told
    left join {{ ref('stg_salesforce__currency_type') }} as currencies
        on told.currency_code = currencies.currency_code and not currencies.is_deleted and currencies.is_corporate
    where currencies.currency_code is null
    group by told.currency_code
),

rated as (
    select
        known.opportunity_id,
        sum(rates.checksum) as checksum
    from (
        select
            opportunity_id,
            currency_code
        from {{ ref('stg_salesforce__opportunity') }}
        where currency_code in (select rates.currency_code from rates)
        union
        select
            opportunity_id,
            currency_code
        from {{ ref('stg_salesforce__opportunity_history') }}
        where currency_code in (select rates.currency_code from rates)
    ) as known
    inner join rates on known.currency_code = rates.currency_code
    group by known.opportunity_id
),

states as (
    select
        records.opportunity_id,
        {{ checksum([
            'records._batch_seq',
            'records.last_modified_at <= run.as_of',
            checksum('deals'),
            'history.newest_batch',
            'history.n_until',
            'activities.checksum',
            'people.checksum',
            'accounts.surviving_account_id',
            'accounts.industry',
            'accounts.created_at',
            'first_wins.first_won_at',
            'rated.checksum',
            'run.corporate_currency',
            'asked.checksum',
        ]) }} as inputs
    from {{ ref('stg_salesforce__opportunity') }} as records
    cross join asked
    cross join run
    left join {{ ref('int_opportunities') }} as deals on records.opportunity_id = deals.opportunity_id
    left join history on {{ deal_key('records.opportunity_id') }} = history.deal_key
    left join activities on {{ deal_key('records.opportunity_id') }} = activities.deal_key
    left join rated on records.opportunity_id = rated.opportunity_id
    left join people on {{ deal_key('records.opportunity_id') }} = people.deal_key
    left join {{ ref('int_accounts') }} as accounts on deals.account_id = accounts.account_id
    left join first_wins on accounts.surviving_account_id = first_wins.surviving_account_id
)

{% if before -%}
select
    coalesce(states.opportunity_id, built.opportunity_id) as opportunity_id,
    states.inputs,
    states.inputs is distinct from built.inputs or (built.is_marked and not built.is_reflected) as is_marked,
    '{{ invocation_id }}' as _build_id
from states
full outer join (
    select
        opportunity_id,
        inputs,
        is_marked,
        {% if reflected -%}
        _build_id in (select whole._build_id from {{ reflected }} as whole)
        {%- else -%}
        false
        {%- endif %} as is_reflected
    from {{ this }}
) as built on states.opportunity_id = built.opportunity_id
-- of a record that is no longer there, rows are deleted once
where states.opportunity_id is not null or built.inputs is not null or not built.is_reflected
{%- else -%}
select
    opportunity_id,
    inputs,
    true as is_marked,
    '{{ invocation_id }}' as _build_id
from states
{%- endif %}

with run as (
    select * from {{ ref('stg_control__run') }}
),

history as (
    select
        history.opportunity_id,
        max(history.created_at) as last_history_at
    from {{ ref('stg_salesforce__opportunity_history') }} as history
    cross join run
    -- in a replay, what happened after as_of is no error; a timestamp later than the clock that read it is one
    where history._extracted_at <= run.known_at and (history.created_at <= run.as_of or history.created_at > history._extracted_at)
    group by history.opportunity_id
),

-- a push is a close date moved to a later day
dated as (
    select
        history.opportunity_id,
        history.created_at,
        history.close_on,
        lag(history.close_on) over (
            partition by history.opportunity_id
            order by history.created_at, history.system_modstamp_at, history.opportunity_history_id
        ) as previous_close_on
    from {{ ref('stg_salesforce__opportunity_history') }} as history
    cross join run
    where history._extracted_at <= run.known_at and history.created_at <= run.as_of
),

pushes as (
    select
        dated.opportunity_id,
        sum(case when dated.close_on > dated.previous_close_on then 1 else 0 end) as close_date_pushes,
        -- a push on the day of the review is what was reviewed
        sum(case
            when
                dated.close_on > dated.previous_close_on
                and cast(dated.created_at as date) > coalesce(records.close_date_reviewed_on, cast('0001-01-01' as date))
                then 1
            else 0
        end) as pushes_since_review
    from dated
    inner join {{ ref('stg_salesforce__opportunity') }} as records on dated.opportunity_id = records.opportunity_id
    group by dated.opportunity_id
),

current_visits as (
    select
        opportunity_id,
        stage_name,
        days_in_stage
    from {{ ref('int_stage_visits') }}
    where exit_kind = 'open'
),

alike as (
    select
        opportunities.opportunity_id,
        count(*) over (
            partition by coalesce(accounts.surviving_account_id, opportunities.account_id), opportunities.opportunity_type
        ) as open_deals_alike
    from {{ ref('int_opportunities') }} as opportunities
    left join {{ ref('int_accounts') }} as accounts on opportunities.account_id = accounts.account_id
    where
        opportunities.is_open and not opportunities.is_deleted
        and opportunities.account_id is not null and opportunities.opportunity_type is not null
),

contact_roles as (
    select
        roles.opportunity_id,
        count(*) as contact_role_count
    from {{ ref('stg_salesforce__opportunity_contact_role') }} as roles
    cross join run
    where roles.created_at <= run.as_of and (not roles.is_deleted or roles.last_modified_at > run.as_of)
    group by roles.opportunity_id
),

responses as (
    select
        opportunity_id,
        max(case when is_customer_response then occurred_at end) as last_customer_response_at,
        min(case when is_meeting_held then occurred_at end) as meeting_held_at
    from {{ ref('int_activities') }}
    where opportunity_id is not null and (is_customer_response or is_meeting_held)
    group by opportunity_id
)

select
    opportunities.opportunity_id as record_id,
    opportunities.opportunity_id as row_key,
    opportunities.opportunity_name as record_name,
    opportunities.record_url,
    opportunities.owner_id,
    opportunities.owner_name,
    opportunities.sales_process,
    opportunities.stage_name,
    opportunities.stage_order,
    opportunities.step,
    opportunities.step_rank,
    opportunities.is_open,
    opportunities.is_won,
    opportunities.is_lost,
    opportunities.is_stage_mapped,
    opportunities.is_qualified,
    opportunities.amount,
    opportunities.amount_corporate,
    opportunities.currency_code,
    opportunities.close_on,
    run.as_of,
    run.as_of_on,
    opportunities.created_at,
    opportunities.last_modified_at,
    opportunities.first_history_at,
    greatest(
        opportunities.created_at,
        coalesce(
            case
                when
                    opportunities.last_modified_at <= run.as_of
                    or opportunities.last_modified_at > opportunities.extracted_at
                    then opportunities.last_modified_at
            end,
            opportunities.created_at
        ),
        coalesce(history.last_history_at, opportunities.created_at)
    ) as latest_timestamp_at,
    opportunities.last_history_stage_name,
    case
        when opportunities.is_won then 'won'
        when opportunities.is_lost then 'lost'
        when opportunities.is_open then 'open'
    end as stage_state,
    case
        when opportunities.is_won_flag and opportunities.is_closed_flag then 'won'
        when opportunities.is_closed_flag then 'lost'
        when opportunities.is_won_flag then 'contradictory'
        when not opportunities.is_closed_flag then 'open'
    end as flag_state,
    coalesce(contact_roles.contact_role_count, 0) as contact_role_count,
    {{ elapsed_days('opportunities.created_at', 'coalesce(opportunities.closed_at, run.as_of)') }} as days_open,
    responses.last_customer_response_at,
    {{ elapsed_days('responses.last_customer_response_at', 'run.as_of') }} as days_since_customer_response,
    responses.meeting_held_at,
    opportunities.account_id,
    opportunities.opportunity_type,
    owners.is_active as is_owner_active,
    records.loss_reason,
    records.close_date_reviewed_on,
    pushes.close_date_pushes,
    pushes.pushes_since_review,
    case when opportunities.is_open then current_visits.days_in_stage end as days_in_stage,
    service_levels.service_level_days,
    alike.open_deals_alike
from {{ ref('int_opportunities') }} as opportunities
cross join run
inner join {{ ref('stg_salesforce__opportunity') }} as records on opportunities.opportunity_id = records.opportunity_id
left join {{ ref('int_owners') }} as owners on opportunities.owner_id = owners.owner_id
left join pushes on opportunities.opportunity_id = pushes.opportunity_id
left join alike on opportunities.opportunity_id = alike.opportunity_id
left join current_visits
    on opportunities.opportunity_id = current_visits.opportunity_id and opportunities.stage_name = current_visits.stage_name
left join {{ ref('int_stage_service_levels') }} as service_levels
    on opportunities.sales_process = service_levels.sales_process and opportunities.stage_name = service_levels.stage_name
left join history on opportunities.opportunity_id = history.opportunity_id
left join contact_roles on opportunities.opportunity_id = contact_roles.opportunity_id
left join responses on opportunities.opportunity_id = responses.opportunity_id
where not opportunities.is_deleted

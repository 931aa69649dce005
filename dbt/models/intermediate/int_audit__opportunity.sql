with run as (
    select * from {{ ref('stg_control__run') }}
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
        coalesce(evidence.last_history_at, opportunities.created_at)
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
    evidence.contact_role_count,
    {{ elapsed_days('opportunities.created_at', 'coalesce(opportunities.closed_at, run.as_of)') }} as days_open,
    evidence.last_customer_response_at,
    {{ elapsed_days('evidence.last_customer_response_at', 'run.as_of') }} as days_since_customer_response,
    evidence.meeting_held_at,
    opportunities.account_id,
    opportunities.opportunity_type,
    opportunities.segment,
    owners.is_active as is_owner_active,
    evidence.loss_reason,
    evidence.close_date_reviewed_on,
    evidence.close_date_pushes,
    evidence.pushes_since_review,
    case when opportunities.is_open then current_visits.days_in_stage end as days_in_stage,
    service_levels.service_level_days,
    alike.open_deals_alike
from {{ ref('int_opportunities') }} as opportunities
cross join run
inner join {{ ref('int_opportunity_evidence') }} as evidence on opportunities.opportunity_id = evidence.opportunity_id
left join {{ ref('int_owners') }} as owners on opportunities.owner_id = owners.owner_id
left join alike on opportunities.opportunity_id = alike.opportunity_id
left join current_visits
    on opportunities.opportunity_id = current_visits.opportunity_id and opportunities.stage_name = current_visits.stage_name
left join {{ ref('int_stage_service_levels') }} as service_levels
    on opportunities.sales_process = service_levels.sales_process and opportunities.stage_name = service_levels.stage_name
where not opportunities.is_deleted

with visits as (
    select
        visits.visit_id,
        visits.opportunity_id,
        visits.sales_process,
        visits.stage_name,
        visits.stage_order,
        visits.entered_at,
        visits.exited_at,
        visits.days_in_stage,
        visits.exit_kind
    from {{ ref('int_stage_visits') }} as visits
    where visits.is_mapped and not visits.is_closed_stage
),

-- most visits are ended by who began them: the few others are picked before anything else is looked up
passed_on as (
    select
        givers.visit_id,
        givers.moved_in_by_id as giver_id,
        takers.moved_in_by_id as taker_id
    from {{ ref('int_stage_movers') }} as givers
    inner join {{ ref('int_stage_movers') }} as takers
        on givers.opportunity_id = takers.opportunity_id and givers.visit_seq + 1 = takers.visit_seq
    where givers.moved_in_by_id <> takers.moved_in_by_id
),

-- who moved it on took it; while it stands, nobody has: it waits for its owner of today
taken as (
    select
        visits.*,
        passed_on.giver_id,
        passed_on.taker_id,
        'who moved it on' as taker_basis
    from visits
    inner join passed_on on visits.visit_id = passed_on.visit_id
    where visits.exit_kind <> 'open'
    union all
    select
        visits.*,
        givers.moved_in_by_id as giver_id,
        deals.owner_id as taker_id,
        'current_owner' as taker_basis
    from visits
    inner join {{ ref('int_stage_movers') }} as givers on visits.visit_id = givers.visit_id
    inner join {{ ref('fct_opportunities') }} as deals on visits.opportunity_id = deals.opportunity_id
    where visits.exit_kind = 'open' and givers.moved_in_by_id <> deals.owner_id
),

handed as (
    select taken.*
    from taken
    inner join {{ ref('fct_opportunities') }} as deals on taken.opportunity_id = deals.opportunity_id
    where not deals.is_deleted
),

first_acts as (
    select
        handed.visit_id,
        min(activities.occurred_at) as first_act_at
    from handed
    inner join {{ ref('fct_activities') }} as activities
        on
            handed.opportunity_id = activities.opportunity_id
            and handed.taker_id = activities.owner_id
            and handed.entered_at <= activities.occurred_at
            and coalesce(handed.exited_at, {{ end_of_time() }}) > activities.occurred_at
    group by handed.visit_id
)

select
    handed.visit_id,
    handed.opportunity_id,
    handed.sales_process,
    handed.stage_name,
    handed.stage_order,
    handed.entered_at as handed_at,
    handed.giver_id,
    handed.taker_id,
    handed.taker_basis,
    givers.user_role_id as giver_role_id,
    takers.user_role_id as taker_role_id,
    case
        when handed.exit_kind = 'open' then 'awaiting'
        when handed.exit_kind in ('advanced', 'won') then 'accepted'
        when handed.exit_kind = 'back' then 'returned'
        when handed.exit_kind = 'lost' then 'lost'
        else 'moved aside'
    end as outcome,
    first_acts.first_act_at,
    -- who moved it on without a recorded activity acted at the latest then
    coalesce({{ elapsed_days('handed.entered_at', 'first_acts.first_act_at') }}, handed.days_in_stage) as wait_days,
    first_acts.first_act_at is null and handed.exit_kind = 'open' as is_still_waiting
from handed
left join first_acts on handed.visit_id = first_acts.visit_id
left join {{ ref('dim_owner') }} as givers on handed.giver_id = givers.owner_id
left join {{ ref('dim_owner') }} as takers on handed.taker_id = takers.owner_id

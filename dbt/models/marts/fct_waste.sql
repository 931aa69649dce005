with run as (
    select
        as_of,
        as_of_on
    from {{ ref('dim_run') }}
),

deals as (
    select * from {{ ref('fct_opportunities') }}
    where not is_deleted
),

open_visits as (
    select
        visits.visit_key,
        visits.opportunity_id,
        visits.stage_order,
        visits.visit_no,
        visits.entered_at,
        visits.exited_at,
        coalesce(visits.exited_at, run.as_of) as until_at,
        visits.days_in_stage
    from {{ ref('fct_stage_visits') }} as visits
    inner join deals on visits.opportunity_id = deals.opportunity_id
    cross join run
    where visits.basis = 'reported' and visits.is_mapped and not visits.is_closed_stage
),

touches as (
    select
        opportunity_id,
        activity_id,
        occurred_at
    from {{ ref('fct_activities') }}
    where direction = 'outbound' and opportunity_id is not null
),

-- the furthest step that a deal's evidence ever allowed; a lost stage asks for none
furthest_met as (
    select
        opportunity_id,
        max(stage_order) as stage_order
    from {{ ref('fct_stage_visits') }}
    where basis = 'defined' and (not is_closed_stage or is_won_stage)
    group by opportunity_id
),

evidence_asked as (
    select count(*) as n
    from {{ ref('dim_definition') }}
    where kind = 'stage_entry' and mode = 'enforce' and is_configured and evidence is not null
),

-- whole visits
visit_spells as (
    select
        'lost_deal' as waste_kind,
        visits.opportunity_id,
        visits.visit_key as spell_key,
        visits.entered_at as from_at,
        visits.until_at
    from open_visits as visits
    inner join deals on visits.opportunity_id = deals.opportunity_id
    where deals.is_lost
    union all
    select
        'rework' as waste_kind,
        opportunity_id,
        visit_key as spell_key,
        entered_at as from_at,
        until_at
    from open_visits
    where visit_no > 1
    union all
    select
        'never_met_definition' as waste_kind,
        visits.opportunity_id,
        visits.visit_key as spell_key,
        visits.entered_at as from_at,
        visits.until_at
    from open_visits as visits
    inner join deals on visits.opportunity_id = deals.opportunity_id
    cross join evidence_asked
    left join furthest_met on visits.opportunity_id = furthest_met.opportunity_id
    where evidence_asked.n > 0 and not deals.is_set_aside and visits.stage_order > coalesce(furthest_met.stage_order, 0)
),

-- the ball, as in rpt_wip_aging: a response is answered by the next touch that is no response itself
turns as (
    select
        opportunity_id,
        activity_id,
        occurred_at,
        not is_customer_response as is_touch
    from {{ ref('fct_activities') }}
    where opportunity_id is not null and (is_customer_response or direction = 'outbound')
),

answered as (
    select
        *,
        lag(is_touch) over deal as is_after_touch,
        min(case when is_touch then occurred_at end) over (
            partition by opportunity_id
            order by occurred_at, is_touch, activity_id
            rows between 1 following and unbounded following
        ) as next_touch_at
    from turns
    window deal as (partition by opportunity_id order by occurred_at, is_touch, activity_id)
),

spells as (
    select
        'waiting' as waste_kind,
        answered.opportunity_id,
        answered.activity_id as spell_key,
        answered.occurred_at as from_at,
        coalesce(answered.next_touch_at, run.as_of) as until_at
    from answered
    cross join run
    where
        not answered.is_touch
        and coalesce(answered.is_after_touch, true)
        and answered.occurred_at < coalesce(answered.next_touch_at, run.as_of)
    union all
    -- the close date itself is still in time
    select
        'overdue_close_date' as waste_kind,
        deals.opportunity_id,
        deals.opportunity_id as spell_key,
        cast({{ dbt.dateadd('day', 1, 'deals.close_on') }} as timestamp) as from_at,
        run.as_of as until_at
    from deals
    cross join run
    where deals.is_open and deals.close_on < run.as_of_on
),

-- only while the deal was open
open_spells as (
    select
        spells.waste_kind,
        spells.opportunity_id,
        spells.spell_key || ' ' || visits.visit_key as spell_key,
        greatest(spells.from_at, visits.entered_at) as from_at,
        least(spells.until_at, visits.until_at) as until_at
    from spells
    inner join open_visits as visits
        on
            spells.opportunity_id = visits.opportunity_id
            and spells.until_at > visits.entered_at
            and (
                spells.from_at < visits.until_at
                -- overdue since this very instant: no time yet, and a deal to list
                or (spells.waste_kind = 'overdue_close_date' and spells.from_at = visits.until_at)
            )
    union all
    select * from visit_spells
),

spell_touches as (
    select
        open_spells.waste_kind,
        open_spells.spell_key,
        count(*) as touches
    from open_spells
    inner join touches
        on
            open_spells.opportunity_id = touches.opportunity_id
            and open_spells.from_at <= touches.occurred_at
            and open_spells.until_at > touches.occurred_at
    -- a held meeting opens the wait for a follow-up: it is no work done in it
    where open_spells.waste_kind <> 'waiting'
    group by open_spells.waste_kind, open_spells.spell_key
),

summed as (
    select
        open_spells.waste_kind,
        open_spells.opportunity_id,
        {{ exact_sum(elapsed_days('open_spells.from_at', 'open_spells.until_at')) }} as waste_days,
        sum(coalesce(spell_touches.touches, 0)) as touches
    from open_spells
    left join spell_touches
        on open_spells.waste_kind = spell_touches.waste_kind and open_spells.spell_key = spell_touches.spell_key
    group by open_spells.waste_kind, open_spells.opportunity_id
),

-- what the record says is wasted although its history shows no open time for it
told_by_record as (
    select
        'lost_deal' as waste_kind,
        opportunity_id
    from deals
    where is_lost
    union all
    select
        'overdue_close_date' as waste_kind,
        opportunity_id
    from spells
    where waste_kind = 'overdue_close_date'
),

listed as (
    select
        waste_kind,
        opportunity_id
    from summed
    union
    select
        waste_kind,
        opportunity_id
    from told_by_record
)

select
    listed.waste_kind || ': ' || listed.opportunity_id as waste_key,
    listed.waste_kind,
    listed.opportunity_id,
    deals.sales_process,
    summed.waste_days,
    cast(summed.touches as bigint) as touches
from listed
inner join deals on listed.opportunity_id = deals.opportunity_id
left join summed on listed.waste_kind = summed.waste_kind and listed.opportunity_id = summed.opportunity_id

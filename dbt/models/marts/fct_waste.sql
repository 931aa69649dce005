with run as (
    select
        as_of,
        as_of_on
    from {{ ref('dim_run') }}
),

-- no more columns than are read: what is used twice is kept meanwhile
deals as (
    select
        opportunity_id,
        sales_process,
        is_open,
        is_lost,
        is_set_aside,
        close_on
    from {{ ref('fct_opportunities') }}
    where not is_deleted
),

open_visits as (
    select
        visits.opportunity_id,
        visits.stage_order,
        visits.visit_no,
        visits.entered_at,
        coalesce(visits.exited_at, run.as_of) as until_at,
        deals.is_lost,
        deals.is_set_aside
    from {{ ref('fct_stage_visits') }} as visits
    inner join deals on visits.opportunity_id = deals.opportunity_id
    cross join run
    where visits.basis = 'reported' and visits.is_mapped and not visits.is_closed_stage
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
        opportunity_id,
        entered_at as from_at,
        until_at
    from open_visits
    where is_lost
    union all
    select
        'rework' as waste_kind,
        opportunity_id,
        entered_at as from_at,
        until_at
    from open_visits
    where visit_no > 1
    union all
    select
        'never_met_definition' as waste_kind,
        visits.opportunity_id,
        visits.entered_at as from_at,
        visits.until_at
    from open_visits as visits
    cross join evidence_asked
    left join furthest_met on visits.opportunity_id = furthest_met.opportunity_id
    where evidence_asked.n > 0 and not visits.is_set_aside and visits.stage_order > coalesce(furthest_met.stage_order, 0)
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
        opportunity_id,
        occurred_at,
        is_touch,
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

-- spells of one kind never overlap in a deal: a touch lies in one of them
spell_touches as (
    select
        open_spells.waste_kind,
        open_spells.opportunity_id,
        count(*) as touches
    from open_spells
    inner join {{ ref('fct_activities') }} as touches
        on
            open_spells.opportunity_id = touches.opportunity_id
            and touches.direction = 'outbound'
            and open_spells.from_at <= touches.occurred_at
            and open_spells.until_at > touches.occurred_at
    -- a held meeting opens the wait for a follow-up: it is no work done in it
    where open_spells.waste_kind <> 'waiting'
    group by open_spells.waste_kind, open_spells.opportunity_id
),

spell_days as (
    select
        waste_kind,
        opportunity_id,
        {{ days_of('sum(' ~ elapsed_microseconds('from_at', 'until_at') ~ ')') }} as waste_days
    from open_spells
    group by waste_kind, opportunity_id
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
    from spell_days
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
    spell_days.waste_days,
    case when spell_days.opportunity_id is not null then coalesce(spell_touches.touches, 0) end as touches
from listed
inner join deals on listed.opportunity_id = deals.opportunity_id
left join spell_days
    on listed.waste_kind = spell_days.waste_kind and listed.opportunity_id = spell_days.opportunity_id
left join spell_touches
    on listed.waste_kind = spell_touches.waste_kind and listed.opportunity_id = spell_touches.opportunity_id

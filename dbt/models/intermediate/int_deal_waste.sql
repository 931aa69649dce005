{{ config(
    materialized='incremental', incremental_strategy='append', tags=['deal_by_deal'],
    pre_hook=["{{ delete_marked_deals() }}", "{{ increments_as_written() }}"], post_hook="{{ joins_as_estimated() }}"
) }}

{%- set kind_no = {'lost_deal': 1, 'rework': 2, 'waiting': 3, 'overdue_close_date': 4, 'never_met_definition': 5} -%}
-- millions of spells and touches are sorted, joined and summed: kinds and deals by number, told in words again at the end
with kinds as (
    {%- for kind, no in kind_no.items() %}
    select
        {{ no }} as kind_no,
        '{{ kind }}' as waste_kind
    {{- '\n    union all' if not loop.last }}
    {%- endfor %}
),

-- no more columns than are read: what is used twice is kept meanwhile
deals as (
    select
        opportunity_id,
        cast(row_number() over (order by opportunity_id) as integer) as deal_no,
        is_open,
        is_lost,
        close_on
    from {{ ref('int_opportunities') }}
    where not is_deleted and {{ is_made_anew('opportunity_id') }}
),

-- what stands at as_of has no end yet: how long it is, the mart tells
open_visits as (
    select
        deals.deal_no,
        visits.stage_order,
        visits.visit_no,
        visits.entered_at,
        coalesce(visits.exited_at, {{ end_of_time() }}) as until_at,
        deals.is_lost
    from {{ ref('int_stage_visits') }} as visits
    inner join deals on visits.opportunity_id = deals.opportunity_id
    where visits.is_mapped and not visits.is_closed_stage and {{ is_made_anew('visits.opportunity_id') }}
),

-- the furthest step that a deal's evidence ever allowed; a lost stage asks for none
furthest_met as (
    select
        deals.deal_no,
        max(visits.stage_order) as stage_order
    from {{ ref('int_evidenced_stage_visits') }} as visits
    inner join deals on visits.opportunity_id = deals.opportunity_id
    where (not visits.is_closed_stage or visits.is_won_stage) and {{ is_made_anew('visits.opportunity_id') }}
    group by deals.deal_no
),

evidence_asked as (
    select count(*) as n
    from {{ ref('stg_control__definition') }}
    where kind = 'stage_entry' and mode = 'enforce' and is_configured and evidence is not null
),

-- whole visits
visit_spells as (
    select
        {{ kind_no.lost_deal }} as kind_no,
        deal_no,
        entered_at as from_at,
        until_at
    from open_visits
    where is_lost
    union all
    select
        {{ kind_no.rework }} as kind_no,
        deal_no,
        entered_at as from_at,
        until_at
    from open_visits
    where visit_no > 1
    union all
    select
        {{ kind_no.never_met_definition }} as kind_no,
        visits.deal_no,
        visits.entered_at as from_at,
        visits.until_at
    from open_visits as visits
    cross join evidence_asked
    left join furthest_met on visits.deal_no = furthest_met.deal_no
    where evidence_asked.n > 0 and visits.stage_order > coalesce(furthest_met.stage_order, 0)
),

-- the ball, as in rpt_wip_aging: a response is answered by the next touch that is no response itself
turns as (
    select
        deals.deal_no,
        activities.occurred_at,
        activities.direction = 'outbound' as is_outbound,
        not activities.is_customer_response as is_touch
    from {{ ref('int_activities') }} as activities
    inner join deals on activities.opportunity_id = deals.opportunity_id
    where
        (activities.is_customer_response or activities.direction = 'outbound')
        and {{ is_made_anew('activities.opportunity_id') }}
),

answered as (
    select
        deal_no,
        occurred_at,
        is_touch,
        lag(is_touch) over deal as is_after_touch,
        first_value(case when is_touch then occurred_at end ignore nulls) over (
            partition by deal_no
            order by occurred_at, is_touch
            rows between 1 following and unbounded following
        ) as next_touch_at
    from turns
    window deal as (partition by deal_no order by occurred_at, is_touch)
),

spells as (
    select
        {{ kind_no.waiting }} as kind_no,
        deal_no,
        occurred_at as from_at,
        coalesce(next_touch_at, {{ end_of_time() }}) as until_at
    from answered
    where
        not is_touch
        and coalesce(is_after_touch, true)
        and occurred_at < coalesce(next_touch_at, {{ end_of_time() }})
    union all
    -- the close date itself is still in time; a date that lies ahead is told as well: it passes without a change of the deal
    select
        {{ kind_no.overdue_close_date }} as kind_no,
        deal_no,
        cast({{ dbt.dateadd('day', 1, 'close_on') }} as timestamp) as from_at,
        {{ end_of_time() }} as until_at
    from deals
    where is_open and close_on is not null
),

-- only while the deal was open
open_spells as (
    select
        spells.kind_no,
        spells.deal_no,
        greatest(spells.from_at, visits.entered_at) as from_at,
        least(spells.until_at, visits.until_at) as until_at
    from spells
    inner join open_visits as visits
        on spells.deal_no = visits.deal_no and spells.until_at > visits.entered_at and spells.from_at < visits.until_at
    union all
    select
        kind_no,
        deal_no,
        from_at,
        until_at
    from visit_spells
),

told as (
    select
        kind_no,
        deal_no,
        case when until_at < {{ end_of_time() }} then {{ elapsed_microseconds('from_at', 'until_at') }} end as microseconds,
        case when until_at = {{ end_of_time() }} then from_at end as runs_since,
        0 as touches
    from open_spells
    union all
    -- spells of one kind never overlap in a deal: a touch lies in one of them
    select
        open_spells.kind_no,
        open_spells.deal_no,
        null as microseconds,
        null as runs_since,
        1 as touches
    from open_spells
    inner join turns as touches
        on
            open_spells.deal_no = touches.deal_no
            and touches.is_outbound
            and open_spells.from_at <= touches.occurred_at
            and open_spells.until_at > touches.occurred_at
    -- a held meeting opens the wait for a follow-up: it is no work done in it
    where open_spells.kind_no <> {{ kind_no.waiting }}
    union all
    -- what the record says is wasted although its history shows no open time for it
    select
        {{ kind_no.lost_deal }} as kind_no,
        deal_no,
        null as microseconds,
        null as runs_since,
        null as touches
    from deals
    where is_lost
    union all
    select
        kind_no,
        deal_no,
        null as microseconds,
        null as runs_since,
        null as touches
    from spells
    where kind_no = {{ kind_no.overdue_close_date }}
),

-- one spell of a kind runs at most: in the stage where the deal stands
summed as (
    select
        kind_no,
        deal_no,
        sum(microseconds) as microseconds,
        max(runs_since) as runs_since,
        sum(touches) as touches
    from told
    group by kind_no, deal_no
)

select
    kinds.waste_kind,
    deals.opportunity_id,
    cast(summed.microseconds as bigint) as microseconds,
    summed.runs_since,
    cast(summed.touches as bigint) as touches
from summed
inner join kinds on summed.kind_no = kinds.kind_no
inner join deals on summed.deal_no = deals.deal_no

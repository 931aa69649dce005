{{ config(
    materialized='incremental', incremental_strategy='append', tags=['deal_by_deal'],
    pre_hook=["{{ delete_marked_deals() }}", "{{ increments_as_written() }}"], post_hook="{{ joins_as_estimated() }}"
) }}

-- millions of activities are sorted: deals by number
with deals as (
    select
        opportunity_id,
        cast(row_number() over (order by opportunity_id) as integer) as deal_no
    from {{ ref('int_opportunities') }}
    where {{ is_made_anew('opportunity_id') }}
),

exchanges as (
    select
        deals.deal_no,
        activities.occurred_at,
        case when activities.direction = 'outbound' and not activities.is_customer_response then 1 else 0 end as is_touch
    from {{ ref('int_activities') }} as activities
    inner join deals on activities.opportunity_id = deals.opportunity_id
    where
        (activities.is_customer_response or activities.direction = 'outbound')
        and {{ is_made_anew('activities.opportunity_id') }}
),

counted as (
    select
        deal_no,
        occurred_at,
        is_touch,
        sum(is_touch) over so_far as touch_no,
        lag(is_touch) over so_far as is_after_touch,
        first_value(case when is_touch = 1 then occurred_at end ignore nulls) over (
            partition by deal_no
            order by occurred_at asc, is_touch desc
            rows between 1 following and unbounded following
        ) as next_touch_at
    from exchanges
    window so_far as (partition by deal_no order by occurred_at asc, is_touch desc rows unbounded preceding)
),

visits as (
    select
        deals.opportunity_id,
        deals.deal_no,
        visits.visit_seq,
        visits.sales_process,
        visits.location,
        visits.stage_name,
        visits.is_closed_stage,
        visits.entered_at,
        coalesce(visits.exited_at, {{ end_of_time() }}) as exited_at,
        case
            when visits.is_closed_stage then visits.entered_at
            when visits.exit_kind in ('deleted', 'merged') then visits.exited_at
        end as closed_at
    from {{ ref('int_stage_visits') }} as visits
    inner join deals on visits.opportunity_id = deals.opportunity_id
    where visits.is_mapped and {{ is_made_anew('visits.opportunity_id') }}
),

-- each ends what waits since the one before
closes as (
    select
        deal_no,
        closed_at,
        visit_seq as last_visit_seq,
        coalesce(lag(visit_seq) over (partition by deal_no order by visit_seq), 0) as previous_visit_seq
    from visits
    where closed_at is not null
)

-- the first answer after a touch, or of all
select
    visits.opportunity_id || '-' || cast(waits.touch_no as {{ dbt.type_string() }}) as wait_id,
    visits.opportunity_id,
    visits.sales_process,
    visits.location,
    visits.stage_name,
    waits.occurred_at as began_at,
    least(waits.next_touch_at, closes.closed_at) as ended_at
from counted as waits
inner join visits on waits.deal_no = visits.deal_no and waits.occurred_at >= visits.entered_at and waits.occurred_at < visits.exited_at
left join closes
    on
        visits.deal_no = closes.deal_no
        and visits.visit_seq > closes.previous_visit_seq
        and visits.visit_seq <= closes.last_visit_seq
where waits.is_touch = 0 and coalesce(waits.is_after_touch, 1) = 1 and not visits.is_closed_stage

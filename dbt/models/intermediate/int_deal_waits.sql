with exchanges as (
    select
        opportunity_id,
        occurred_at,
        activity_id,
        is_customer_response,
        case when direction = 'outbound' and not is_customer_response then 1 else 0 end as is_touch
    from {{ ref('int_activities') }}
    where opportunity_id is not null and (is_customer_response or direction = 'outbound')
),

-- answers to our nth touch, and what came before the first one
counted as (
    select
        *,
        sum(is_touch) over (
            partition by opportunity_id
            order by occurred_at asc, is_touch desc, activity_id asc
            rows unbounded preceding
        ) as touch_no
    from exchanges
),

waits as (
    select
        opportunity_id,
        touch_no,
        min(occurred_at) as began_at
    from counted
    where is_customer_response
    group by opportunity_id, touch_no
),

touches as (
    select
        opportunity_id,
        touch_no,
        occurred_at as touched_at
    from counted
    where is_touch = 1
),

visits as (
    select
        opportunity_id,
        sales_process,
        location,
        stage_name,
        is_closed_stage,
        entered_at,
        coalesce(exited_at, {{ end_of_time() }}) as exited_at,
        min(case when is_closed_stage then entered_at when exit_kind in ('deleted', 'merged') then exited_at end) over (
            partition by opportunity_id
            order by visit_seq
            rows between current row and unbounded following
        ) as closes_at
    from {{ ref('int_stage_visits') }}
    where is_mapped
)

select
    waits.opportunity_id || '-' || cast(waits.touch_no as {{ dbt.type_string() }}) as wait_id,
    waits.opportunity_id,
    visits.sales_process,
    visits.location,
    visits.stage_name,
    waits.began_at,
    least(touches.touched_at, visits.closes_at) as ended_at
from waits
inner join visits
    on waits.opportunity_id = visits.opportunity_id and waits.began_at >= visits.entered_at and waits.began_at < visits.exited_at
left join touches on waits.opportunity_id = touches.opportunity_id and touches.touch_no = waits.touch_no + 1
where not visits.is_closed_stage

with run as (
    select
        as_of,
        minimum_n
    from {{ ref('dim_run') }}
),

deals as (
    select
        opportunity_id,
        sales_process,
        is_open,
        is_set_aside
    from {{ ref('fct_opportunities') }}
    where not is_deleted
),

activities as (
    select
        activities.opportunity_id,
        activities.activity_id,
        activities.activity_kind,
        activities.occurred_at,
        activities.direction = 'unknown' and not activities.is_customer_response as is_unknown,
        activities.direction = 'outbound' as is_touch,
        activities.is_customer_response as is_response
    from {{ ref('fct_activities') }} as activities
    inner join deals on activities.opportunity_id = deals.opportunity_id
),

-- an answer is credited to the last touch before it, as in the ball's rule: of one instant, the touch comes after the answer;
-- a meeting held is a touch and its own answer
numbered as (
    select
        *,
        sum(case when is_touch then 1 else 0 end) over (
            partition by opportunity_id
            order by occurred_at, is_touch, activity_id
            rows unbounded preceding
        ) as touch_no,
        sum(case when is_touch then 1 else 0 end) over (partition by opportunity_id) as deal_touches
    from activities
),

credited as (
    select
        opportunity_id,
        touch_no,
        count(*) as responses,
        max(occurred_at) as last_response_at
    from numbered
    where is_response and touch_no > 0
    group by opportunity_id, touch_no
),

lines as (
    select
        numbered.opportunity_id,
        numbered.activity_kind,
        numbered.occurred_at,
        1 as touches,
        coalesce(credited.responses, 0) as responses,
        credited.last_response_at,
        case when numbered.touch_no = numbered.deal_touches and credited.responses is null then 1 else 0 end as is_last_unanswered,
        0 as unknown_direction
    from numbered
    left join credited on numbered.opportunity_id = credited.opportunity_id and numbered.touch_no = credited.touch_no
    where numbered.is_touch
    union all
    select
        opportunity_id,
        'unprompted' as activity_kind,
        occurred_at,
        0 as touches,
        1 as responses,
        occurred_at as last_response_at,
        0 as is_last_unanswered,
        0 as unknown_direction
    from numbered
    where is_response and touch_no = 0
    union all
    select
        opportunity_id,
        activity_kind,
        occurred_at,
        0 as touches,
        0 as responses,
        cast(null as timestamp) as last_response_at,
        0 as is_last_unanswered,
        1 as unknown_direction
    from numbered
    where is_unknown
),

bases as (
    select 'reported' as basis
    union all
    select 'defined' as basis
),

staged as (
    select
        bases.basis,
        deals.sales_process,
        visits.stage_name,
        visits.stage_order,
        deals.is_open,
        lines.*
    from lines
    inner join deals on lines.opportunity_id = deals.opportunity_id
    cross join bases
    left join {{ ref('fct_stage_visits') }} as visits
        on
            lines.opportunity_id = visits.opportunity_id
            and bases.basis = visits.basis
            and lines.occurred_at >= visits.entered_at
            and lines.occurred_at < coalesce(visits.exited_at, {{ end_of_time() }})
    where bases.basis = 'reported' or not deals.is_set_aside
),

counted as (
    select
        basis,
        sales_process,
        stage_name,
        activity_kind,
        min(stage_order) as stage_order,
        count(distinct opportunity_id) as n_deals,
        sum(touches) as touches,
        sum(case when touches = 1 and responses > 0 then 1 else 0 end) as touches_answered,
        sum(case when is_open and is_last_unanswered = 1 then 1 else 0 end) as touches_waiting,
        sum(responses) as responses,
        sum(unknown_direction) as n_unknown_direction,
        max(case when touches = 1 then occurred_at end) as last_touch_at,
        max(last_response_at) as last_response_at
    from staged
    group by basis, sales_process, stage_name, activity_kind
),

judged as (
    select
        counted.*,
        run.as_of,
        measurability.is_measurable,
        measurability.is_measurable and counted.touches >= run.minimum_n as is_enough
    from counted
    cross join run
    cross join {{ ref('dim_measurability') }} as measurability
)

select
    basis || ': ' || sales_process || ': ' || coalesce(stage_name, 'no stage') || ': ' || activity_kind as evidence_key,
    basis,
    sales_process,
    stage_name,
    stage_order,
    activity_kind,
    cast(n_deals as bigint) as n_deals,
    cast(touches as bigint) as touches,
    cast(touches_answered as bigint) as touches_answered,
    cast(touches_waiting as bigint) as touches_waiting,
    cast(responses as bigint) as responses,
    case when is_enough then cast(responses as double) / touches end as responses_per_touch,
    case when is_enough then cast(touches as double) / nullif(responses, 0) end as touches_per_response,
    case when is_enough then cast(touches_answered as double) / touches end as answered_share,
    case when is_enough then {{ wilson_bound('touches_answered', 'touches', '-') }} end as answered_lower,
    case when is_enough then {{ wilson_bound('touches_answered', 'touches', '+') }} end as answered_upper,
    {{ elapsed_days('last_touch_at', 'as_of') }} as days_since_last_touch,
    {{ elapsed_days('last_response_at', 'as_of') }} as days_since_last_response,
    cast(n_unknown_direction as bigint) as n_unknown_direction,
    case
        when not is_measurable then 'not measurable'
        when activity_kind = 'unprompted' then 'unprompted'
        when is_enough then 'ok'
        else 'too few'
    end as reads,
    as_of
from judged

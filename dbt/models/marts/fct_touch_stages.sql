with deals as (
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

staged as (
    select
        deals.sales_process,
        deals.is_open,
        deals.is_set_aside,
        reported.stage_name,
        reported.stage_order,
        evidenced.stage_name as evidenced_stage_name,
        evidenced.stage_order as evidenced_stage_order,
        lines.*
    from lines
    inner join deals on lines.opportunity_id = deals.opportunity_id
    {%- for basis, name in [('reported', 'reported'), ('defined', 'evidenced')] %}
    left join {{ ref('fct_stage_visits') }} as {{ name }}
        on
            lines.opportunity_id = {{ name }}.opportunity_id
            and {{ name }}.basis = '{{ basis }}'
            and lines.occurred_at >= {{ name }}.entered_at
            and lines.occurred_at < coalesce({{ name }}.exited_at, {{ end_of_time() }})
    {%- endfor %}
)

select
    opportunity_id
    || ': ' || coalesce(stage_name, 'no stage')
    || ': ' || coalesce(evidenced_stage_name, 'no stage')
    || ': ' || activity_kind as touch_stage_key,
    opportunity_id,
    sales_process,
    stage_name,
    min(stage_order) as stage_order,
    evidenced_stage_name,
    min(evidenced_stage_order) as evidenced_stage_order,
    {{ evidenced_part('is_set_aside', 'stage_name', 'evidenced_stage_name') }} as evidenced_in,
    activity_kind,
    cast(sum(touches) as bigint) as touches,
    cast(sum(case when touches = 1 and responses > 0 then 1 else 0 end) as bigint) as touches_answered,
    cast(sum(case when is_open and is_last_unanswered = 1 then 1 else 0 end) as bigint) as touches_waiting,
    cast(sum(responses) as bigint) as responses,
    cast(sum(unknown_direction) as bigint) as n_unknown_direction,
    max(case when touches = 1 then occurred_at end) as last_touch_at,
    max(last_response_at) as last_response_at
from staged
group by opportunity_id, sales_process, stage_name, evidenced_stage_name, is_set_aside, activity_kind

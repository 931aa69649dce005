with deals as (
    select
        opportunity_id,
        sales_process,
        is_open,
        is_set_aside,
        cast(row_number() over (order by opportunity_id) as integer) as deal_no
    from {{ ref('fct_opportunities') }}
    where not is_deleted
),

-- millions of touches are sorted, joined and grouped: deals, stages and kinds by number, told in words again at the end
stages as (
    select
        stage_name,
        cast(row_number() over (order by stage_name) as smallint) as stage_no
    from {{ ref('fct_stage_visits') }}
    group by stage_name
),

visits as (
    select
        visits.basis,
        deals.deal_no,
        visits.entered_at,
        coalesce(visits.exited_at, {{ end_of_time() }}) as until_at,
        stages.stage_no
    from {{ ref('fct_stage_visits') }} as visits
    inner join deals on visits.opportunity_id = deals.opportunity_id
    inner join stages on visits.stage_name = stages.stage_name
),

activities as (
    select
        deals.deal_no,
        cast(case activities.activity_kind when 'task' then 1 when 'event' then 2 else 3 end as smallint) as kind_no,
        activities.occurred_at,
        activities.direction = 'outbound' as is_touch,
        activities.is_customer_response as is_response
    from {{ ref('fct_activities') }} as activities
    inner join deals on activities.opportunity_id = deals.opportunity_id
    where activities.is_customer_response or activities.direction in ('outbound', 'unknown')
),

-- an answer is credited to the last touch before it, as in the ball's rule: of one instant, the touch comes after the answer;
-- a meeting held is a touch and its own answer
turns as (
    select
        deal_no,
        kind_no,
        occurred_at,
        is_touch,
        is_response,
        last_value(case when is_touch then kind_no end ignore nulls) over so_far as touch_kind_no,
        last_value(case when is_touch then occurred_at end ignore nulls) over so_far as touched_at,
        -- the first answer after a touch
        is_touch or lag(is_touch and not is_response) over deal as is_first_response,
        lead(is_touch) over deal is null as is_last
    from activities
    where is_touch or is_response
    window
        deal as (partition by deal_no order by occurred_at, is_touch, kind_no, is_response),
        so_far as (partition by deal_no order by occurred_at, is_touch, kind_no, is_response rows unbounded preceding)
),

lines as (
    select
        deal_no,
        coalesce(touch_kind_no, 0) as kind_no,
        coalesce(touched_at, occurred_at) as staged_at,
        touched_at,
        is_touch,
        is_response,
        is_response and touched_at is not null and is_first_response as is_answer,
        is_touch and is_last and not is_response as is_waiting,
        case when is_response then occurred_at end as responded_at
    from turns
    union all
    select
        deal_no,
        kind_no,
        occurred_at as staged_at,
        cast(null as timestamp) as touched_at,
        false as is_touch,
        false as is_response,
        false as is_answer,
        false as is_waiting,
        cast(null as timestamp) as responded_at
    from activities
    where not is_touch and not is_response
),

staged as (
    select
        lines.deal_no,
        lines.kind_no,
        reported.stage_no,
        evidenced.stage_no as evidenced_stage_no,
        count(case when lines.is_touch then 1 end) as touches,
        count(case when lines.is_answer then 1 end) as touches_answered,
        count(case when lines.is_waiting then 1 end) as touches_waiting,
        count(case when lines.is_response then 1 end) as responses,
        count(case when not lines.is_touch and not lines.is_response then 1 end) as n_unknown_direction,
        max(lines.touched_at) as last_touch_at,
        max(lines.responded_at) as last_response_at
    from lines
    left join visits as reported
        on
            lines.deal_no = reported.deal_no
            and reported.basis = 'reported'
            and lines.staged_at >= reported.entered_at
            and lines.staged_at < reported.until_at
    left join visits as evidenced
        on
            lines.deal_no = evidenced.deal_no
            and evidenced.basis = 'defined'
            and lines.staged_at >= evidenced.entered_at
            and lines.staged_at < evidenced.until_at
    group by lines.deal_no, lines.kind_no, reported.stage_no, evidenced.stage_no
)

select
    deals.opportunity_id,
    deals.sales_process,
    reported.stage_name,
    evidenced.stage_name as evidenced_stage_name,
    {{ evidenced_part('deals.is_set_aside', 'reported.stage_name', 'evidenced.stage_name') }} as evidenced_in,
    case staged.kind_no when 0 then 'unprompted' when 1 then 'task' when 2 then 'event' else 'email' end as activity_kind,
    staged.touches,
    staged.touches_answered,
    case when deals.is_open then staged.touches_waiting else 0 end as touches_waiting,
    staged.responses,
    staged.n_unknown_direction,
    staged.last_touch_at,
    staged.last_response_at
from staged
inner join deals on staged.deal_no = deals.deal_no
left join stages as reported on staged.stage_no = reported.stage_no
left join stages as evidenced on staged.evidenced_stage_no = evidenced.stage_no

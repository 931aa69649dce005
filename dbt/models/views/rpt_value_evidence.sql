with run as (
    select
        as_of,
        minimum_n
    from {{ ref('dim_run') }}
),

staged as (
    select
        'reported' as basis,
        touches.stage_name as in_stage,
        touches.*
    from {{ ref('fct_touch_stages') }} as touches
    union all
    select
        'defined' as basis,
        touches.evidenced_stage_name as in_stage,
        touches.*
    from {{ ref('fct_touch_stages') }} as touches
    where touches.evidenced_in <> 'set aside'
),

counted as (
    select
        basis,
        sales_process,
        in_stage as stage_name,
        activity_kind,
        count(distinct {{ deal_key('opportunity_id') }}) as n_deals,
        sum(touches) as touches,
        sum(touches_answered) as touches_answered,
        sum(touches_waiting) as touches_waiting,
        sum(responses) as responses,
        sum(n_unknown_direction) as n_unknown_direction,
        max(last_touch_at) as last_touch_at,
        max(last_response_at) as last_response_at
    from staged
    group by basis, sales_process, in_stage, activity_kind
),

judged as (
    select
        counted.*,
        stages.stage_order,
        run.as_of,
        measurability.is_measurable,
        measurability.is_measurable and counted.touches >= run.minimum_n as is_enough
    from counted
    cross join run
    cross join {{ ref('dim_measurability') }} as measurability
    left join {{ ref('dim_stage') }} as stages
        on counted.sales_process = stages.sales_process and counted.stage_name = stages.stage_name
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

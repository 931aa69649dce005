with run as (
    select
        as_of,
        as_of_on
    from {{ ref('stg_control__run') }}
),

set_aside as (
    select
        record_id,
        {{ names_in_order('definition_id') }} as set_aside_by
    from {{ ref('stg_audit__verdict') }}
    where kind = 'integrity' and mode = 'enforce' and status = 'breached' and record_id is not null
    group by record_id
),

-- currencies whose amounts no total may carry
{{ held_currencies() }},

evidenced as (
    select
        opportunity_id,
        stage_name,
        stage_order
    from {{ ref('int_evidenced_stage_visits') }}
    where exit_kind = 'open'
),

standing as (
    select
        opportunity_id,
        stage_name,
        entered_at,
        days_in_stage,
        cumulative_days_in_stage
    from {{ ref('int_stage_visits') }}
    where exit_kind = 'open'
),

-- whoever did it last, in one pass over millions of activities
touches as (
    select
        {{ deal_key('opportunity_id') }} as deal_key,
        max(case when direction = 'outbound' and not is_customer_response then occurred_at end) as last_touch_at,
        max(case when activity_kind = 'email' and is_customer_response then occurred_at end) as last_inbound_at,
        max(case when is_customer_response then occurred_at end) as last_customer_response_at,
        sum(case when is_customer_response then 1 else 0 end) as customer_responses
    from {{ ref('int_activities') }}
    where opportunity_id is not null and (direction = 'outbound' or is_customer_response)
    group by {{ deal_key('opportunity_id') }}
)

select
    deals.opportunity_id,
    deals.opportunity_name,
    deals.record_url,
    deals.account_id,
    deals.owner_id,
    deals.owner_name,
    deals.sales_process,
    deals.stage_name,
    deals.stage_order,
    deals.step,
    deals.step_rank,
    deals.location,
    deals.is_stage_mapped,
    deals.is_qualified,
    deals.is_open,
    deals.is_won,
    deals.is_lost,
    deals.amount,
    deals.currency_code,
    case when held.currency_code is null then deals.amount_corporate end as amount_corporate,
    held.currency_code is not null and deals.amount is not null as is_amount_held,
    deals.close_on,
    deals.lead_source,
    deals.segment,
    {%- for number in range(1, 5) %}
    deals.dimension_{{ number }},
    {%- endfor %}
    deals.opportunity_type,
    deals.campaign_id,
    deals.created_at,
    deals.closed_at,
    deals.is_deleted,
    set_aside.record_id is not null as is_set_aside,
    set_aside.set_aside_by,
    evidenced.stage_name as evidenced_stage_name,
    case
        when set_aside.record_id is not null then 'set aside'
        when evidenced.stage_name is null then 'none'
        when evidenced.stage_name = deals.stage_name then 'same'
        else 'earlier'
    end as evidenced_in,
    standing.entered_at as entered_stage_at,
    standing.days_in_stage,
    standing.cumulative_days_in_stage,
    touches.last_customer_response_at,
    touches.last_inbound_at,
    touches.last_touch_at,
    cast(coalesce(touches.customer_responses, 0) as bigint) as customer_responses
from {{ ref('int_opportunities') }} as deals
cross join run
left join held on deals.currency_code = held.currency_code
left join set_aside on deals.opportunity_id = set_aside.record_id
left join evidenced on deals.opportunity_id = evidenced.opportunity_id
left join standing on deals.opportunity_id = standing.opportunity_id and deals.stage_name = standing.stage_name
left join touches on {{ deal_key('deals.opportunity_id') }} = touches.deal_key

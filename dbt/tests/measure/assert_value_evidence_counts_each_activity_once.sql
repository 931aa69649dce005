{{ config(tags=['measure']) }}
-- each touch lies in one row of the reported basis, and so does each response
with told as (
    select
        sum(touches) as touches,
        sum(responses) as responses
    from {{ ref('rpt_value_evidence') }}
    where basis = 'reported'
),

recorded as (
    select
        sum(case when activities.direction = 'outbound' then 1 else 0 end) as touches,
        sum(case when activities.is_customer_response then 1 else 0 end) as responses
    from {{ ref('fct_activities') }} as activities
    inner join {{ ref('fct_opportunities') }} as deals on activities.opportunity_id = deals.opportunity_id
    where not deals.is_deleted and (activities.direction in ('outbound', 'unknown') or activities.is_customer_response)
)

select
    told.touches,
    recorded.touches as recorded_touches,
    told.responses,
    recorded.responses as recorded_responses
from told
cross join recorded
where told.touches is distinct from recorded.touches or told.responses is distinct from recorded.responses

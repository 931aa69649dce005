with run as (
    select as_of from {{ ref('dim_run') }}
),

kinds as (
    {%- for kind in ['lost_deal', 'rework', 'waiting', 'overdue_close_date', 'never_met_definition'] %}
    select '{{ kind }}' as waste_kind{{ ' union all' if not loop.last }}
    {%- endfor %}
),

deals as (
    select * from {{ ref('fct_opportunities') }}
    where not is_deleted
),

visits as (
    select
        visits.opportunity_id,
        visits.sales_process,
        visits.days_in_stage,
        visits.is_start_imputed
    from {{ ref('fct_stage_visits') }} as visits
    inner join deals on visits.opportunity_id = deals.opportunity_id
    where visits.basis = 'reported' and visits.is_mapped and not visits.is_closed_stage
),

touches as (
    select
        touches.sales_process,
        sum(touches.touches) as open_touches
    from {{ ref('fct_touch_stages') }} as touches
    inner join {{ ref('dim_stage') }} as stages on touches.sales_process = stages.sales_process and touches.stage_name = stages.stage_name
    where not stages.is_closed
    group by touches.sales_process
),

days as (
    select
        sales_process,
        {{ exact_sum('days_in_stage') }} as open_days
    from visits
    group by sales_process
),

imputed as (
    select distinct opportunity_id
    from visits
    where is_start_imputed
),

evidence_asked as (
    select count(*) as n
    from {{ ref('dim_definition') }}
    where kind = 'stage_entry' and mode = 'enforce' and is_configured and evidence is not null
),

-- of whom nobody can say whether they waste
scope as (
    select
        deals.sales_process,
        count(*) as n_deals,
        count(coalesce(deals.last_touch_at, deals.last_customer_response_at)) as n_active,
        sum(case when deals.is_lost is null then 1 else 0 end) as n_unmapped,
        sum(case when deals.is_open and deals.close_on is null then 1 else 0 end) as n_undated,
        sum(case when deals.is_set_aside then 1 else 0 end) as n_set_aside,
        count(imputed.opportunity_id) as n_imputed
    from deals
    left join imputed on deals.opportunity_id = imputed.opportunity_id
    group by deals.sales_process
),

wasted as (
    select
        sales_process,
        waste_kind,
        count(*) as n_wasting,
        {{ exact_sum('waste_days') }} as waste_days,
        sum(touches) as waste_touches,
        sum(case when waste_days is null then 1 else 0 end) as n_days_unknown,
        {{ names_in_order('opportunity_id') }} as record_ids
    from {{ ref('fct_waste') }}
    group by sales_process, waste_kind
),

put_together as (
    select
        scope.*,
        kinds.waste_kind,
        coalesce(wasted.n_wasting, 0) as n_wasting,
        coalesce(wasted.waste_days, 0.0) as waste_days,
        coalesce(wasted.waste_touches, 0) as waste_touches,
        coalesce(wasted.n_days_unknown, 0) as n_days_unknown,
        wasted.record_ids,
        days.open_days,
        touches.open_touches,
        case kinds.waste_kind
            when 'lost_deal' then scope.n_unmapped
            when 'rework' then scope.n_imputed
            when 'waiting' then scope.n_deals - scope.n_active
            when 'overdue_close_date' then scope.n_undated
            else scope.n_set_aside
        end as n_unknown,
        case
            when kinds.waste_kind = 'waiting' and not measurability.is_measurable then measurability.cause
            when kinds.waste_kind = 'waiting' and scope.n_active = 0 then 'no touch or response is recorded'
            when kinds.waste_kind = 'never_met_definition' and evidence_asked.n = 0
                then 'no enforced stage-entry definition asks for evidence'
        end as state_cause,
        measurability.is_measurable,
        run.as_of
    from scope
    cross join kinds
    cross join evidence_asked
    cross join run
    cross join {{ ref('dim_measurability') }} as measurability
    left join wasted on scope.sales_process = wasted.sales_process and kinds.waste_kind = wasted.waste_kind
    left join days on scope.sales_process = days.sales_process
    left join touches on scope.sales_process = touches.sales_process
)

select
    sales_process || ': ' || waste_kind as waste_view_key,
    sales_process,
    waste_kind,
    case
        when state_cause is null then 'measured'
        when waste_kind = 'waiting' and not is_measurable then 'not measurable'
        else 'not measured'
    end as state,
    state_cause,
    cast(case when state_cause is null then n_wasting end as bigint) as n_deals,
    cast(n_deals as bigint) as n_deals_of_process,
    cast(n_unknown as bigint) as n_unknown,
    case when state_cause is null then waste_days end as waste_days,
    cast(case when state_cause is null then n_days_unknown end as bigint) as n_days_unknown,
    case when state_cause is null then waste_days / nullif(open_days, 0) end as share_of_days,
    cast(case when state_cause is null then waste_touches end as bigint) as touches,
    case when state_cause is null then cast(waste_touches as double) / nullif(open_touches, 0) end as share_of_touches,
    record_ids,
    as_of
from put_together

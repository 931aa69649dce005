{{ config(tags=['measure']) }}
-- the values of each dimension add up to the stage: in what rpt_stage_conversion counts, and in who stands there now
with conversion as (
    select
        basis,
        sales_process,
        stage_name,
        n_entered,
        n_left_truncated,
        n_open,
        n_deleted,
        n_rate,
        n_exits
    from {{ ref('rpt_stage_conversion') }}
    where cohort = 'all' and exit_kind = 'onward'
),

standing as (
    select
        visits.basis,
        visits.sales_process,
        visits.stage_name,
        count(*) as wip,
        count(*) - count(deals.amount_corporate) as wip_without_amount,
        sum(deals.amount_corporate) as wip_amount_corporate
    from {{ ref('fct_stage_visits') }} as visits
    inner join {{ ref('fct_opportunities') }} as deals on visits.opportunity_id = deals.opportunity_id
    where visits.exit_kind = 'open' and visits.is_mapped and not visits.is_closed_stage
    group by visits.basis, visits.sales_process, visits.stage_name
),

stages as (
    select
        basis,
        sales_process,
        stage_name
    from conversion
    union
    select
        basis,
        sales_process,
        stage_name
    from standing
),

dimensions as (
    select distinct dimension from {{ ref('rpt_flow_by_dimension') }}
),

{% set counts = ['n_entered', 'n_left_truncated', 'n_open', 'n_deleted', 'n_rate', 'wip', 'wip_without_amount', 'wip_amount_corporate'] %}
added as (
    select
        basis,
        sales_process,
        stage_name,
        dimension,
        {%- for column in counts %}
        sum({{ column }}) as {{ column }},
        {%- endfor %}
        sum(n_onward) as n_exits,
        sum(n_advanced + n_back + n_lateral + n_won + n_lost + n_won_without_evidence + n_open + n_deleted) as n_told
    from {{ ref('rpt_flow_by_dimension') }}
    group by basis, sales_process, stage_name, dimension
)

select
    stages.basis,
    stages.sales_process,
    stages.stage_name,
    dimensions.dimension
from stages
cross join dimensions
left join conversion
    on stages.basis = conversion.basis and stages.sales_process = conversion.sales_process and stages.stage_name = conversion.stage_name
left join standing
    on stages.basis = standing.basis and stages.sales_process = standing.sales_process and stages.stage_name = standing.stage_name
left join added
    on
        stages.basis = added.basis
        and stages.sales_process = added.sales_process
        and stages.stage_name = added.stage_name
        and dimensions.dimension = added.dimension
where
    coalesce(added.n_told, 0) <> coalesce(added.n_entered, 0)
    {%- for column in counts + ['n_exits'] %}
    or coalesce(added.{{ column }}, 0) <> coalesce({{ 'standing' if column.startswith('wip') else 'conversion' }}.{{ column }}, 0)
    {%- endfor %}

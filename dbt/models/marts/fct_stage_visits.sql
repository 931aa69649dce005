{%- do ref('int_words') -%}
-- the enforced contract names the columns: both bases have one shape
select
    'reported' as basis,
    visits.*
from {{ ref('int_stage_visits') }} as visits
union all
select
    'defined' as basis,
    visits.*
from {{ ref('int_evidenced_stage_visits') }} as visits
inner join {{ ref('fct_opportunities') }} as deals
    on visits.opportunity_id = deals.opportunity_id
where not deals.is_set_aside

-- built after the last of the models that work deal by deal, and of those whose tests look at marked deals alone: where one of them
-- fails, the deals stay marked
-- depends_on: {{ ref('int_stage_evidence') }}, {{ ref('int_evidenced_stage_timeline') }}, {{ ref('int_opportunity_evidence') }}
-- depends_on: {{ ref('int_stage_entries') }}, {{ ref('int_deal_waits') }}, {{ ref('int_audit__stage_visit') }}
-- depends_on: {{ ref('int_pipeline_movements') }}, {{ ref('int_evidenced_movements') }}, {{ ref('int_visit_evidence') }}
-- depends_on: {{ ref('int_touch_stages') }}, {{ ref('int_deal_waste') }}
-- depends_on: {{ ref('int_opportunity_changes') }}, {{ ref('int_opportunity_values') }}, {{ ref('int_stage_movers') }}
select coalesce(max(_build_id), 'none') as _build_id
from {{ ref('int_deal_state') }}

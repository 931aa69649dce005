-- built after the last of the models that work deal by deal
-- depends_on: {{ ref('int_stage_evidence') }}, {{ ref('int_evidenced_stage_timeline') }}, {{ ref('int_opportunity_evidence') }}
-- depends_on: {{ ref('int_stage_entries') }}, {{ ref('int_deal_waits') }}, {{ ref('int_audit__stage_visit') }}
select max(_build_id) as _build_id
from {{ ref('int_deal_state') }}

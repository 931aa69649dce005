{{ config(materialized='view') }}

with run as (
    select as_of from {{ ref('stg_control__run') }}
)

-- who wrote the history row that begins the visit
select
    timeline.visit_id,
    timeline.opportunity_id,
    timeline.visit_seq,
    timeline.moved_in_by_id
from {{ ref('int_stage_timeline') }} as timeline
cross join run
where
    timeline.stage_name is not null
    and timeline.deal_created_at <= run.as_of
    and timeline.entered_at <= run.as_of
    and not timeline.is_start_imputed

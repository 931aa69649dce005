{{ config(materialized='view') }}

with run as (
    select as_of from {{ ref('stg_control__run') }}
),

timed as (
    select
        timeline.*,
        {{ elapsed_microseconds('timeline.entered_at', 'coalesce(timeline.exited_at, run.as_of)') }} as microseconds_in_stage
    from {{ ref('int_evidenced_stage_timeline') }} as timeline
    cross join run
)

-- columns as in int_stage_visits
select
    visit_id,
    opportunity_id,
    sales_process,
    visit_seq,
    visit_no,
    cycle_no,
    stage_name,
    stage_order,
    step,
    step_rank,
    location,
    is_mapped,
    is_closed_stage,
    is_won_stage,
    entered_at,
    exited_at,
    {{ days_of('microseconds_in_stage') }} as days_in_stage,
    {{ days_of('microseconds_in_stage_before + microseconds_in_stage') }} as cumulative_days_in_stage,
    exit_kind,
    next_stage_name,
    stages_skipped,
    furthest_order_before,
    furthest_rank_before,
    is_first_entry,
    is_left_truncated,
    is_start_imputed,
    is_tie
from timed

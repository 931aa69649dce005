{{ config(materialized='view') }}

with run as (
    select as_of from {{ ref('stg_control__run') }}
),

-- what comes after as_of follows what came before: the timeline is cut, not ordered again
cut as (
    select
        timeline.*,
        run.as_of,
        -- nothing is known of its past by then: its first stage since creation, marked
        timeline.entered_at > run.as_of as lies_ahead,
        coalesce(timeline.exited_at <= run.as_of, false) as has_left,
        coalesce(timeline.deleted_at <= run.as_of, false) as is_gone
    from {{ ref('int_stage_timeline') }} as timeline
    cross join run
    where
        timeline.stage_name is not null
        and timeline.deal_created_at <= run.as_of
        and (timeline.entered_at <= run.as_of or timeline.visit_seq = 1)
),

bounded as (
    select
        *,
        case when lies_ahead then deal_created_at else entered_at end as began_at,
        case
            when has_left then exited_at
            -- a record that says it was deleted before its last change lived until that change
            when is_gone and lies_ahead then greatest(deleted_at, deal_created_at)
            when is_gone then greatest(deleted_at, entered_at, least(last_changed_at, as_of))
        end as left_at
    from cut
),

timed as (
    select
        *,
        {{ elapsed_microseconds('began_at', 'coalesce(left_at, as_of)') }} as microseconds_in_stage
    from bounded
)

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
    began_at as entered_at,
    left_at as exited_at,
    {{ days_of('microseconds_in_stage') }} as days_in_stage,
    {{ days_of('microseconds_in_stage_before + microseconds_in_stage') }} as cumulative_days_in_stage,
    case when has_left then exit_kind when is_gone then 'deleted' else 'open' end as exit_kind,
    case when has_left then next_stage_name end as next_stage_name,
    stages_skipped,
    furthest_order_before,
    furthest_rank_before,
    is_first_entry,
    is_left_truncated,
    is_start_imputed or lies_ahead as is_start_imputed,
    is_tie and not lies_ahead as is_tie
from timed

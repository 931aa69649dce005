{#- Stage visits from a timeline of stages: the grain under every flow metric, one row per opportunity and visit.

Ends a model; used for the reported and for the evidenced stages, so that both follow the same rules. `changes` names a CTE with
one row per observed stage:
    opportunity_id, sales_process, stage_name (NULL: in no stage from here on), changed_at, tie_1, tie_2 (order within one
    instant), gap_kind (how a visit ends that is followed by NULL), is_start_imputed, ended_at and ended_kind (the deal itself
    ended: deleted; else NULL)
With `is_collapsed`, no two consecutive rows are of one stage, change_no (from 1) stands for tie_1 and tie_2, there is no
gap_kind, and a row in no stage goes on as visit_seq 0; else they collapse here, and such rows are left out. `run` names a CTE of one row with as_of; without it nothing depends on as_of: instead of days, the rows tell
microseconds_in_stage_before, of the deal's earlier visits to the stage. `carried`: columns of `changes` that go on as they are.
-#}
{% macro stage_visits(changes, run=none, is_collapsed=false, carried=[]) -%}
stages as (
    select
        sales_process,
        stage_name,
        stage_order,
        step,
        step_rank,
        location,
        is_closed,
        is_won,
        is_active and not is_closed as is_current_open,
        min(case when is_active and not is_closed then stage_order end) over (partition by sales_process) as first_open_order,
        coalesce(sum(case when is_active and not is_closed then 1 else 0 end) over (
            partition by sales_process
            order by stage_order
            rows between unbounded preceding and 1 preceding
        ), 0) as open_stages_before
    from {{ ref('stg_control__stage_map') }}
),

{% if not is_collapsed -%}
ordered as (
    select
        *,
        row_number() over (partition by opportunity_id order by changed_at, tie_1, tie_2) as change_no,
        lag(stage_name) over (partition by opportunity_id order by changed_at, tie_1, tie_2) as previous_stage_name
    from {{ changes }}
),

{% endif -%}
collapsed as (
    select
        ordered.*,
        stages.stage_name is not null as is_mapped,
        stages.stage_order,
        stages.step,
        stages.step_rank,
        stages.location,
        stages.is_closed,
        stages.is_won,
        stages.is_current_open,
        stages.first_open_order,
        stages.open_stages_before
    from {{ changes if is_collapsed else 'ordered' }} as ordered
    left join stages
        on ordered.sales_process = stages.sales_process and ordered.stage_name = stages.stage_name
    {%- if not is_collapsed %}
    where ordered.change_no = 1 or ordered.stage_name is distinct from ordered.previous_stage_name
    {%- endif %}
),

linked as (
    select
        *,
        lead(change_no) over deal as next_change_no,
        lead(changed_at) over deal as next_changed_at,
        lead(stage_name) over deal as next_stage,
        lead(stage_order) over deal as next_stage_order,
        lead(is_closed) over deal as next_is_closed,
        lead(is_won) over deal as next_is_won,
        lead(gap_kind) over deal as next_gap_kind,
        lag(is_closed) over deal as previous_is_closed,
        lag(is_current_open) over deal as previous_is_current_open,
        lag(open_stages_before) over deal as previous_open_stages_before,
        {% if is_collapsed -%}
        -- a closed stage left behind starts a new cycle
        1 + count(case when is_closed then 1 end) over (
            partition by opportunity_id
            order by change_no
            rows between unbounded preceding and 1 preceding
        ) as cycle_no
        {%- else -%}
        lag(gap_kind) over deal as previous_gap_kind
        {%- endif %}
    from collapsed
    window deal as (partition by opportunity_id order by change_no)
),

bounded as (
    select
        linked.*,
        {{ 'run.as_of' if run else 'cast(null as timestamp)' }} as as_of,
        case
            when linked.next_change_no is not null then linked.next_changed_at
            when linked.ended_at is not null then greatest(linked.ended_at, linked.changed_at)
        end as left_at,
        case
            when linked.next_change_no is null then coalesce(linked.ended_kind, 'open')
            when linked.is_closed then 'reopened'
            when linked.next_stage is null then linked.next_gap_kind
            when linked.next_is_won then 'won'
            when linked.next_is_closed then 'lost'
            when linked.next_stage_order > linked.stage_order then 'advanced'
            when linked.next_stage_order < linked.stage_order then 'back'
            else 'lateral'
        end as exit_kind,
        {% if not is_collapsed -%}
        -- a closed stage left behind starts a new cycle; a win whose evidence comes later stays in its own
        case
            when linked.previous_is_closed then 1
            when linked.previous_gap_kind = 'won_without_evidence' and not coalesce(linked.is_closed, false) then 1
            else 0
        end as starts_cycle,
        {% endif -%}
        case
            when linked.is_closed and not linked.is_won then 0
            else coalesce(greatest(
                linked.open_stages_before - linked.previous_open_stages_before
                - case when linked.previous_is_current_open then 1 else 0 end,
                0
            ), 0)
        end as skipped
    from linked
    {%- if run %}
    cross join {{ run }} as run
    {%- endif %}
),

numbered as (
    select
        *,
        {% if not is_collapsed -%}
        1 + sum(starts_cycle) over (partition by opportunity_id order by change_no rows unbounded preceding) as cycle_no,
        {% endif -%}
        {{ elapsed_microseconds('changed_at', 'coalesce(left_at, as_of)') }} as microseconds_in_stage,
        -- rows in no stage are counted out; they cut the timeline, and are not visits
        {% if is_collapsed -%}
        case when stage_name is null then 0 else change_no end as visit_seq
        {%- else -%}
        count(stage_name) over (partition by opportunity_id order by change_no rows unbounded preceding) as visit_seq
        {%- endif %}
    from bounded
),

visits as (
    select
        *,
        row_number() over (partition by opportunity_id, stage_name order by change_no) as visit_no,
        coalesce(sum(microseconds_in_stage) over (
            partition by opportunity_id, stage_name
            order by change_no
            rows between unbounded preceding and 1 preceding
        ), 0) as microseconds_in_stage_before
    from numbered
    {%- if not is_collapsed %}
    where stage_name is not null
    {%- endif %}
)

select
    opportunity_id || '-' || cast(visit_seq as {{ dbt.type_string() }}) as visit_id,
    opportunity_id,
    sales_process,
    cast(visit_seq as integer) as visit_seq,
    cast(visit_no as integer) as visit_no,
    cast(cycle_no as integer) as cycle_no,
    stage_name,
    stage_order,
    step,
    step_rank,
    location,
    is_mapped,
    is_closed as is_closed_stage,
    is_won as is_won_stage,
    changed_at as entered_at,
    left_at as exited_at,
    {%- if run %}
    {{ days_of('microseconds_in_stage') }} as days_in_stage,
    {{ days_of('microseconds_in_stage_before + microseconds_in_stage') }} as cumulative_days_in_stage,
    {%- else %}
    cast(microseconds_in_stage_before as bigint) as microseconds_in_stage_before,
    {%- endif %}
    exit_kind,
    next_stage as next_stage_name,
    cast(skipped as integer) as stages_skipped,
    visit_no = 1 as is_first_entry,
    visit_seq = 1 and coalesce(stage_order > first_open_order, false) as is_left_truncated,
    is_start_imputed,
    coalesce(next_changed_at = changed_at, false) as is_tie
    {%- for column in carried %},
    {{ column }}
    {%- endfor %}
from visits
{%- endmacro %}

{#- Stage visits from a timeline of stages: the grain under every flow metric, one row per opportunity and visit.

Ends a model; used for the reported and for the evidenced stages, so that both follow the same rules. `changes` names a CTE with
one row per observed stage:
    opportunity_id, sales_process, stage_name (NULL: in no stage from here on), changed_at, tie_1, tie_2 (order within one
    instant), gap_kind (how a visit ends that is followed by NULL), is_start_imputed, ended_at and ended_kind (the deal itself
    ended: deleted; else NULL)
With `is_collapsed`, no two consecutive rows are of one stage, change_no (from 1) stands for tie_1 and tie_2, there is no
gap_kind, and a row in no stage goes on as visit_seq 0; else they collapse here, and such rows are left out. `run` names a CTE of one row
with as_of; without it nothing depends on as_of: instead of days, the rows tell
microseconds_in_stage_before, of the deal's earlier visits to the stage. `carried`: columns of `changes` that go on as they are;
`of_process`: a CTE with sales_process and the columns of it that every visit of the process gets.

Millions of rows are put in order three times: they carry the number of their stage, what describes it is joined at the end.
-#}
{% macro stage_visits(changes, run=none, is_collapsed=false, carried=[], of_process=none) -%}
{%- set kept = ['opportunity_id', 'sales_process', 'stage_name', 'stage_no', 'is_closed', 'change_no', 'changed_at', 'is_start_imputed'] + carried -%}
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
        ), 0) as open_stages_before,
        cast(row_number() over (order by sales_process, stage_name) as integer) as stage_no
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
        {%- for column in kept if column not in ('stage_no', 'is_closed') %}
        ordered.{{ column }},
        {%- endfor %}
        ordered.ended_at,
        ordered.ended_kind,
        ordered.gap_kind,
        stages.stage_no,
        stages.is_closed,
        case when stages.is_won or not stages.is_closed then stages.stage_order end as order_on_the_way,
        case when not stages.is_closed then stages.step_rank end as open_rank
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
        lead(stage_no) over deal as next_stage_no,
        lead(gap_kind) over deal as next_gap_kind,
        lag(stage_no) over deal as previous_stage_no,
        max(order_on_the_way) over so_far as furthest_order_before,
        max(open_rank) over so_far as furthest_rank_before,
        {% if is_collapsed -%}
        -- a closed stage left behind starts a new cycle
        1 + count(case when is_closed then 1 end) over so_far as cycle_no
        {%- else -%}
        lag(gap_kind) over deal as previous_gap_kind
        {%- endif %}
    from collapsed
    window
        deal as (partition by opportunity_id order by change_no),
        so_far as (partition by opportunity_id order by change_no rows between unbounded preceding and 1 preceding)
),

bounded as (
    select
        {%- for column in kept %}
        linked.{{ column }},
        {%- endfor %}
        linked.furthest_order_before,
        linked.furthest_rank_before,
        linked.next_stage,
        linked.next_changed_at,
        {{ 'run.as_of' if run else 'cast(null as timestamp)' }} as as_of,
        case
            when linked.next_change_no is not null then linked.next_changed_at
            when linked.ended_at is not null then greatest(linked.ended_at, linked.changed_at)
        end as left_at,
        case
            when linked.next_change_no is null then coalesce(linked.ended_kind, 'open')
            when linked.is_closed then 'reopened'
            when linked.next_stage is null then linked.next_gap_kind
            when next_stages.is_won then 'won'
            when next_stages.is_closed then 'lost'
            when next_stages.stage_order > stages.stage_order then 'advanced'
            when next_stages.stage_order < stages.stage_order then 'back'
            else 'lateral'
        end as exit_kind,
        {% if is_collapsed -%}
        linked.cycle_no,
        {% else -%}
        -- a closed stage left behind starts a new cycle; a win whose evidence comes later stays in its own
        case
            when previous_stages.is_closed then 1
            when linked.previous_gap_kind = 'won_without_evidence' and not coalesce(linked.is_closed, false) then 1
            else 0
        end as starts_cycle,
        {% endif -%}
        cast(case
            when stages.is_closed and not stages.is_won then 0
            else coalesce(greatest(
                stages.open_stages_before - previous_stages.open_stages_before
                - case when previous_stages.is_current_open then 1 else 0 end,
                0
            ), 0)
        end as integer) as skipped
    from linked
    {%- if run %}
    cross join {{ run }} as run
    {%- endif %}
    left join stages on linked.stage_no = stages.stage_no
    left join stages as next_stages on linked.next_stage_no = next_stages.stage_no
    left join stages as previous_stages on linked.previous_stage_no = previous_stages.stage_no
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
    visits.opportunity_id || '-' || cast(visits.visit_seq as {{ dbt.type_string() }}) as visit_id,
    visits.opportunity_id,
    visits.sales_process,
    cast(visits.visit_seq as integer) as visit_seq,
    cast(visits.visit_no as integer) as visit_no,
    cast(visits.cycle_no as integer) as cycle_no,
    visits.stage_name,
    stages.stage_order,
    stages.step,
    stages.step_rank,
    stages.location,
    visits.stage_no is not null as is_mapped,
    stages.is_closed as is_closed_stage,
    stages.is_won as is_won_stage,
    visits.changed_at as entered_at,
    visits.left_at as exited_at,
    {%- if run %}
    {{ days_of('visits.microseconds_in_stage') }} as days_in_stage,
    {{ days_of('visits.microseconds_in_stage_before + visits.microseconds_in_stage') }} as cumulative_days_in_stage,
    {%- else %}
    cast(visits.microseconds_in_stage_before as bigint) as microseconds_in_stage_before,
    {%- endif %}
    visits.exit_kind,
    visits.next_stage as next_stage_name,
    visits.skipped as stages_skipped,
    visits.furthest_order_before,
    visits.furthest_rank_before,
    visits.visit_no = 1 as is_first_entry,
    visits.visit_seq = 1 and coalesce(stages.stage_order > stages.first_open_order, false) as is_left_truncated,
    visits.is_start_imputed,
    coalesce(visits.next_changed_at = visits.changed_at, false) as is_tie
    {%- for column in carried %},
    visits.{{ column }}
    {%- endfor %}
    {%- if of_process %}
    {%- for column in of_process[1] %},
    of_process.{{ column }}
    {%- endfor %}
    {%- endif %}
from visits
left join stages on visits.stage_no = stages.stage_no
{%- if of_process %}
left join {{ of_process[0] }} as of_process on visits.sales_process = of_process.sales_process
{%- endif %}
{%- endmacro %}

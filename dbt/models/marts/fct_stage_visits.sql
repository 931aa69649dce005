{%- set columns = [
    'opportunity_id', 'sales_process', 'visit_seq', 'visit_no', 'cycle_no', 'stage_name', 'stage_order', 'step', 'step_rank',
    'location', 'is_mapped', 'is_closed_stage', 'is_won_stage', 'entered_at', 'exited_at', 'days_in_stage',
    'cumulative_days_in_stage', 'exit_kind', 'next_stage_name', 'stages_skipped', 'is_first_entry', 'is_left_truncated',
    'is_start_imputed', 'is_tie'
] -%}
select
    'reported: ' || visits.visit_id as visit_key,
    'reported' as basis,
    visits.visit_id,
    {%- for column in columns %}
    visits.{{ column }}{{ ',' if not loop.last }}
    {%- endfor %}
from {{ ref('int_stage_visits') }} as visits
union all
select
    'defined: ' || visits.visit_id as visit_key,
    'defined' as basis,
    visits.visit_id,
    {%- for column in columns %}
    visits.{{ column }}{{ ',' if not loop.last }}
    {%- endfor %}
from {{ ref('int_evidenced_stage_visits') }} as visits
inner join {{ ref('fct_opportunities') }} as deals
    on visits.opportunity_id = deals.opportunity_id
where not deals.is_set_aside

{{ config(tags=['measure']) }}
{#- The inventory is the yml of the views (meta additive); dbt has to be told what this test reads. -#}
-- depends_on: {{ ref('rpt_evidenced_split') }}
-- depends_on: {{ ref('rpt_bottleneck') }}
-- depends_on: {{ ref('rpt_cumulative_flow') }}
-- depends_on: {{ ref('rpt_flow_by_dimension') }}
-- depends_on: {{ ref('rpt_flow_health') }}
-- depends_on: {{ ref('rpt_forecast') }}
-- depends_on: {{ ref('rpt_pipeline_movements') }}
-- depends_on: {{ ref('rpt_stage_conversion') }}
-- depends_on: {{ ref('rpt_stage_duration') }}
-- depends_on: {{ ref('rpt_value_evidence') }}
-- depends_on: {{ ref('rpt_win_loss') }}
-- depends_on: {{ ref('rpt_winnability') }}
-- every additive column of every view with both bases: the split tells the view's own figures, as reported for each process, stage
-- and cell, and as defined where that follows from the parts
{%- if execute %}
{%- set views = [] %}
{%- for node in graph.nodes.values()
    if node.resource_type == 'model' and node.name.startswith('rpt_') and 'basis' in node.columns %}
{%- do views.append(node.name) %}
{%- endfor %}
{%- set selects = [] %}
{%- for view in views | sort %}
{%- for column, meta in additive_columns(view) %}
{%- set sides = [('reported', 'reported')] + ([('defined', 'evidenced_here')] if meta.get('follows') else []) %}
{%- for basis, split_column in sides %}
{%- set select %}
select
    '{{ view }}.{{ column }}, {{ basis }}' as what,
    coalesce(told.sales_process, split.sales_process) as sales_process,
    coalesce(told.stage_name, split.stage_name) as stage_name,
    coalesce(told.cell, split.cell) as cell,
    told.figure_of as told,
    split.figure_of as split
from ({{ additive_figure(ref(view), column, meta, basis) }}) as told
full outer join (
    select
        sales_process,
        stage_name,
        cell,
        {{ split_column }} as figure_of
    from {{ ref('rpt_evidenced_split') }}
    where view_name = '{{ view }}' and figure = '{{ column }}'
) as split
    on
        told.sales_process = split.sales_process
        and told.stage_name = split.stage_name
        and told.cell = split.cell
where coalesce(told.figure_of, 0) <> coalesce(split.figure_of, 0)
{%- endset %}
{%- do selects.append(select) %}
{%- endfor %}
{%- endfor %}
{%- endfor %}
{{ selects | join('\nunion all\n') }}
{%- endif %}

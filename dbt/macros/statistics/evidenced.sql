{#- How a reported figure splits by evidence: the words, and which columns of which views are split. -#}

{#- same, earlier, none or set aside, of one deal at one moment: its reported stage there and its evidenced one (NULL: none). -#}
{% macro evidenced_part(is_set_aside, reported_stage, evidenced_stage) -%}
    case
        when {{ is_set_aside }} then 'set aside'
        when {{ evidenced_stage }} is null then 'none'
        when {{ evidenced_stage }} = {{ reported_stage }} then 'same'
        else 'earlier'
    end
{%- endmacro %}

{#- The columns that the yml of a view declares additive: a list of (column, meta), empty where the view has one basis only. -#}
{% macro additive_columns(view_name) -%}
    {%- set found = [] -%}
    {%- for node in graph.nodes.values() if node.resource_type == 'model' and node.name == view_name -%}
        {%- for column in node.columns.values() if column.config.meta.get('additive') -%}
            {%- do found.append((column.name, column.config.meta)) -%}
        {%- endfor -%}
    {%- endfor -%}
    {{ return(found) }}
{%- endmacro %}

{#- A figure of a view per process, stage and cell, in one basis, as its yml says: meta `cell` (SQL, default 'all') names what
else its rows are told by, `where` leaves out rows that tell the same again, `at_last` names the day of a running figure, `stage`
(SQL) stands for the stage in a view that tells none. -#}
{% macro additive_figure(relation, column, meta, basis) -%}
    select
        sales_process,
        {{ meta.get('stage', "coalesce(stage_name, 'no stage')") }} as stage_name,
        {{ meta.get('cell', "'all'") }} as cell,
        sum({{ column }}) as figure_of
    from {{ relation }} as told
    where
        basis = '{{ basis }}'
        and {{ meta.get('where', '1 = 1') }}
        {%- if meta.get('at_last') %}
        and {{ meta.at_last }} = (select max(days.{{ meta.at_last }}) from {{ relation }} as days)
        {%- endif %}
    group by sales_process, {{ meta.get('stage', "coalesce(stage_name, 'no stage')") }}, {{ meta.get('cell', "'all'") }}
{%- endmacro %}

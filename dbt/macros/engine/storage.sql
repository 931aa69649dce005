{#- How an engine stores a table. -#}

{#- dbt's own list of columns, for tables with a contract. Keys hardly ever repeat: DuckDB looks for a dictionary in each of them, finds
none that is smaller, and has spent half of the time that the column takes to write. -#}
{% macro duckdb__get_table_columns_and_constraints() -%}
    {%- set of_columns = adapter.render_raw_columns_constraints(raw_columns=model['columns']) -%}
    {%- set of_table = adapter.render_raw_model_constraints(raw_constraints=model['constraints']) -%}
    (
    {%- for column in of_columns %}
    {{ column }}
    {%- if is_rarely_repeated(column.split(' ')[0]) and column.split(' ')[1] == 'varchar' %} using compression uncompressed{% endif -%}
    {{ ',' if not loop.last or of_table }}
    {%- endfor %}
    {%- for constraint in of_table %}
    {{ constraint }}{{ ',' if not loop.last }}
    {%- endfor %}
    )
{%- endmacro %}

{% macro is_rarely_repeated(column) -%}
    {{ return(column.endswith('_key') or column in ('opportunity_id', 'visit_id', 'activity_id')) }}
{%- endmacro %}

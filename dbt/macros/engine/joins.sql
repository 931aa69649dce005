{#- Hooks of a model that joins millions of rows to fewer on its right, where the engine takes the left side for the smaller one, keeps that
in memory, and runs out of it: of a view that is cut at as_of, DuckDB expects a few rows. Between them joins are made as they are written:
what stands to the right of `join` is kept. -#}
{% macro joins_as_written() -%}
    {{ return(adapter.dispatch('joins_as_written', 'leanfunnel')()) }}
{%- endmacro %}

{% macro duckdb__joins_as_written() -%}
    set disabled_optimizers = 'build_side_probe_side'
{%- endmacro %}

{% macro spark__joins_as_written() -%}{%- endmacro %}

{#- The same for increments alone: the few deals that are made anew stand on the right. From nothing, there are as many as on the left. -#}
{% macro increments_as_written() -%}
    {%- if is_incremental() -%}{{ joins_as_written() }}{%- endif -%}
{%- endmacro %}

{#- The number that a query tells of the few deals that are made anew. Of a view that is cut at as_of, the engine would keep all millions of
rows in memory to look those few up among them. -#}
{% macro told_of_few(query) -%}
    {%- if not execute -%}
        {{ return(0) }}
    {%- endif -%}
    {%- set set_up, put_back = joins_as_written(), joins_as_estimated() -%}
    {%- if set_up -%}{%- do run_query(set_up) -%}{%- endif -%}
    {%- set found = run_query(query).columns[0].values()[0] -%}
    {%- if put_back -%}{%- do run_query(put_back) -%}{%- endif -%}
    {{ return(found) }}
{%- endmacro %}

{% macro joins_as_estimated() -%}
    {{ return(adapter.dispatch('joins_as_estimated', 'leanfunnel')()) }}
{%- endmacro %}

{% macro duckdb__joins_as_estimated() -%}
    reset disabled_optimizers
{%- endmacro %}

{% macro spark__joins_as_estimated() -%}{%- endmacro %}

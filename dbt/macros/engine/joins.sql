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

{% macro joins_as_estimated() -%}
    {{ return(adapter.dispatch('joins_as_estimated', 'leanfunnel')()) }}
{%- endmacro %}

{% macro duckdb__joins_as_estimated() -%}
    reset disabled_optimizers
{%- endmacro %}

{% macro spark__joins_as_estimated() -%}{%- endmacro %}

{#- Random draws without a state: the same on any engine, with any number of threads and in any order of rows. -#}

{#- Uniform on [0, 1) from a counter, given as text expressions (seed, trial, week …): the first 52 bits of the MD5 of the parts
joined by ':', as a share of 2^52. Different parts are independent for the purpose of simulation. -#}
{% macro uniform_draw(parts) -%}
    {{ return(adapter.dispatch('uniform_draw', 'leanfunnel')(parts | join(" || ':' || "))) }}
{%- endmacro %}

{% macro duckdb__uniform_draw(counter) -%}
    (cast('0x' || substr(md5({{ counter }}), 1, 13) as bigint) / 4503599627370496.0::double)
{%- endmacro %}

{% macro spark__uniform_draw(counter) -%}
    (cast(conv(substr(md5({{ counter }}), 1, 13), 16, 10) as bigint) / cast(4503599627370496 as double))
{%- endmacro %}

{#- Percentile that occurred: the smallest value with at least that share of the values at or below it. -#}
{% macro percentile_that_occurred(expression, share) -%}
    {{ return(adapter.dispatch('percentile_that_occurred', 'leanfunnel')(expression, share)) }}
{%- endmacro %}

{% macro duckdb__percentile_that_occurred(expression, share) -%}
    quantile_disc({{ expression }}, {{ share }})
{%- endmacro %}

{% macro spark__percentile_that_occurred(expression, share) -%}
    percentile_disc({{ share }}) within group (order by {{ expression }})
{%- endmacro %}

{#- One row per whole number, column `number`, from 1. -#}
{% macro number_series(last_number) -%}
    {{ return(adapter.dispatch('number_series', 'leanfunnel')(last_number)) }}
{%- endmacro %}

{% macro duckdb__number_series(last_number) -%}
    select unnest(generate_series(1, {{ last_number }})) as number
{%- endmacro %}

{% macro spark__number_series(last_number) -%}
    select explode(sequence(1, {{ last_number }})) as number
{%- endmacro %}

{#- Whole numbers from first to last, one row each, inside a select list. -#}
{% macro numbers_between(first, last) -%}
    {{ return(adapter.dispatch('numbers_between', 'leanfunnel')(first, last)) }}
{%- endmacro %}

{% macro duckdb__numbers_between(first, last) -%}
    cast(unnest(generate_series({{ first }}, {{ last }})) as integer)
{%- endmacro %}

{% macro spark__numbers_between(first, last) -%}
    explode(sequence(cast({{ first }} as int), cast({{ last }} as int)))
{%- endmacro %}

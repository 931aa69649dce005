{#- Instants and spans, spelled for the engine at hand. Models call these and no engine's own functions. -#}

{#- Elapsed days between two instants, fraction included; from whole microseconds, so that sums do not drift. -#}
{% macro elapsed_days(from_instant, to_instant) -%}
    {{ return(adapter.dispatch('elapsed_days', 'leanfunnel')(from_instant, to_instant)) }}
{%- endmacro %}

{% macro duckdb__elapsed_days(from_instant, to_instant) -%}
    (epoch_us({{ to_instant }}) - epoch_us({{ from_instant }})) / 86400000000.0::double
{%- endmacro %}

{% macro spark__elapsed_days(from_instant, to_instant) -%}
    (unix_micros({{ to_instant }}) - unix_micros({{ from_instant }})) / cast(86400000000 as double)
{%- endmacro %}

{#- Whole microseconds between two instants; sums of them are exact in any order. -#}
{% macro elapsed_microseconds(from_instant, to_instant) -%}
    {{ return(adapter.dispatch('elapsed_microseconds', 'leanfunnel')(from_instant, to_instant)) }}
{%- endmacro %}

{% macro duckdb__elapsed_microseconds(from_instant, to_instant) -%}
    (epoch_us({{ to_instant }}) - epoch_us({{ from_instant }}))
{%- endmacro %}

{% macro spark__elapsed_microseconds(from_instant, to_instant) -%}
    (unix_micros({{ to_instant }}) - unix_micros({{ from_instant }}))
{%- endmacro %}

{#- Days from whole microseconds, fraction included. -#}
{% macro days_of(microseconds) -%}
    ({{ microseconds }}) / cast(86400000000 as double)
{%- endmacro %}

{#- Bounds that stand for "always so far" and "never yet" in half-open intervals. -#}
{% macro beginning_of_time() -%}
    cast('0001-01-01 00:00:00' as timestamp)
{%- endmacro %}

{% macro end_of_time() -%}
    cast('9999-12-31 00:00:00' as timestamp)
{%- endmacro %}

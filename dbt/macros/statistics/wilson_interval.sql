{#- Bound of the Wilson score interval of a share (Wilson 1927), 95 %: side is '-' or '+'. NULL for n = 0. -#}
{% macro wilson_bound(successes, n, side) -%}
    {%- set z = 1.959963984540054 -%}
    greatest(0.0, least(1.0, (
        {{ successes }} + {{ z * z / 2 }}
        {{ side }} {{ z }} * sqrt(
            cast({{ successes }} as double) * ({{ n }} - {{ successes }}) / nullif({{ n }}, 0) + {{ z * z / 4 }}
        )
    ) / (nullif({{ n }}, 0) + {{ z * z }})))
{%- endmacro %}

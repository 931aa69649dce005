{#- How unevenly a count is spread over the members of a group, from whole-number sums: exact but for one division.

Each NULL where the group is empty or has nothing to spread: then no spread is defined.
-#}

{#- Coefficient of variation: standard deviation of the whole group (divisor n) over its mean. 0 is level. -#}
{% macro coefficient_of_variation(expression) -%}
    sqrt(cast(count({{ expression }}) * sum({{ expression }} * {{ expression }}) - sum({{ expression }}) * sum({{ expression }}) as double))
    / nullif(sum({{ expression }}), 0)
{%- endmacro %}

{#- Gini coefficient (Gini 1912): half the mean difference between two members over the mean. 0 is level, (n - 1) / n is all with
    one. `place` counts the members from the smallest, from 1; ties in any order. -#}
{% macro gini(expression, place) -%}
    cast(2 * sum({{ place }} * {{ expression }}) - (count({{ expression }}) + 1) * sum({{ expression }}) as double)
    / nullif(count({{ expression }}) * sum({{ expression }}), 0)
{%- endmacro %}

{#- Common-cause limit of a count per member (c chart, Shewhart 1931): mean +- 3 sqrt(mean), never below 0. side is '-' or '+'. -#}
{% macro count_limit(mean_count, side) -%}
    greatest(0.0, {{ mean_count }} {{ side }} 3 * sqrt({{ mean_count }}))
{%- endmacro %}

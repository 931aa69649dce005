{#- Bound of the difference of two shares, p1 - p2, from their Wilson bounds (Newcombe 1998, method 10): side is '-' or '+'. NULL
    where a share is. -#}
{% macro newcombe_bound(p1, lower1, upper1, p2, lower2, upper2, side) -%}
    {%- if side == '-' -%}
    {{ p1 }} - {{ p2 }} - sqrt(power({{ p1 }} - {{ lower1 }}, 2) + power({{ upper2 }} - {{ p2 }}, 2))
    {%- else -%}
    {{ p1 }} - {{ p2 }} + sqrt(power({{ upper1 }} - {{ p1 }}, 2) + power({{ p2 }} - {{ lower2 }}, 2))
    {%- endif -%}
{%- endmacro %}

{#- Schemas are named as configured (`staging`, `mart`), without the target's prefix: readers of the mart see plain names. -#}
{% macro generate_schema_name(custom_schema_name, node) -%}
    {{ custom_schema_name | trim if custom_schema_name else target.schema }}
{%- endmacro %}

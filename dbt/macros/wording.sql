{#- Figures inside sentences. -#}

{#- A number as text, without decimals. -#}
{% macro in_words(expression) -%}
    cast(cast(round({{ expression }}) as bigint) as {{ dbt.type_string() }})
{%- endmacro %}

{#- "today", "1 day ago", "9 days ago", from elapsed days. -#}
{% macro days_ago(days) -%}
    case
        when {{ days }} < 1 then 'today'
        when {{ days }} < 2 then '1 day ago'
        else cast(cast(floor({{ days }}) as bigint) as {{ dbt.type_string() }}) || ' days ago'
    end
{%- endmacro %}

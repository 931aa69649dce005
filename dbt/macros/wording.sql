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

{#- A change of a figure of 13 weeks against the year before, where `condition` holds; the figure's columns end alike. -#}
{% macro told_change(condition, figure, name) -%}
    case
        when {{ condition }}
            then
                {{ in_words(figure ~ '_13_weeks') }} || ' {{ name }} in 13 weeks, in the same weeks a year ago '
                || {{ in_words(figure ~ '_year_before') }} || '; '
        else ''
    end
{%- endmacro %}

{% macro told_no_change(condition, figure, name) -%}
    case
        when not {{ condition }}
            then
                {{ in_words(figure ~ '_13_weeks') }} || ' {{ name }} in 13 weeks, no fewer than a year ago, within chance ('
                || {{ in_words(figure ~ '_year_before') }} || '); '
        else ''
    end
{%- endmacro %}

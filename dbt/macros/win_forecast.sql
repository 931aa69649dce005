{#- Words and numbers that the forecast's models share. -#}

{#- Weeks since Monday 1970-01-05 00:00 UTC, fraction included; a whole number exactly on a Monday's midnight. -#}
{% macro week_number(instant) -%}
    ({{ elapsed_days("cast('1970-01-05 00:00:00' as timestamp)", instant) }} / 7)
{%- endmacro %}

{#- Monday 00:00 UTC of a whole week number. -#}
{% macro week_start(week_no) -%}
    {{ dbt.dateadd('day', '7 * ' ~ week_no, "cast('1970-01-05 00:00:00' as timestamp)") }}
{%- endmacro %}

{#- Ages in a stage, days, from which deals are watched on. A deal is read by the last one that it has passed. -#}
{% macro landmark_ages() -%}
    {{ return([0, 7, 14, 28, 56, 112, 224]) }}
{%- endmacro %}

{#- The last landmark age that a deal of this age (days) has passed; an unknown age reads as just entered. -#}
{% macro landmark_of(age_days) -%}
    case
        {%- for age in landmark_ages() | reverse if age > 0 %}
        when {{ age_days }} >= {{ age }} then {{ age }}
        {%- endfor %}
        else 0
    end
{%- endmacro %}

{#- A step function of whole weeks, read between two of them on the straight line. -#}
{% macro between_weeks(at_floor, at_next, weeks) -%}
    ({{ at_floor }} + ({{ weeks }} - floor({{ weeks }})) * ({{ at_next }} - {{ at_floor }}))
{%- endmacro %}

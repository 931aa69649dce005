{#- Is a figure of 13 weeks another than that of the same weeks a year before, beyond chance? Both must hold: more than a tenth of
difference, and more than three standard errors of a difference of counts (or shares). NULL where a year before is not known.
The same weeks: a season is no change. -#}

{% macro clearly_more(recent, before, share=0.1, errors=3) -%}
    ({{ recent }} > {{ 1 + share }} * {{ before }} and {{ recent }} - {{ before }} > {{ errors }} * sqrt({{ recent }} + {{ before }}))
{%- endmacro %}

{% macro clearly_fewer(recent, before, share=0.1, errors=3) -%}
    ({{ recent }} < {{ 1 - share }} * {{ before }} and {{ before }} - {{ recent }} > {{ errors }} * sqrt({{ recent }} + {{ before }}))
{%- endmacro %}

{#- hits of tries, pooled variance. -#}
{% macro clearly_higher_share(hits, tries, hits_before, tries_before, share=0.1, errors=3) -%}
    (
        {{ hits }} * {{ tries_before }} > {{ 1 + share }} * {{ hits_before }} * {{ tries }}
        and cast({{ hits }} as double) / nullif({{ tries }}, 0) - cast({{ hits_before }} as double) / nullif({{ tries_before }}, 0)
        > {{ errors }} * {{ error_of_shares(hits, tries, hits_before, tries_before) }}
    )
{%- endmacro %}

{% macro clearly_lower_share(hits, tries, hits_before, tries_before, share=0.1, errors=3) -%}
    (
        {{ hits }} * {{ tries_before }} < {{ 1 - share }} * {{ hits_before }} * {{ tries }}
        and cast({{ hits_before }} as double) / nullif({{ tries_before }}, 0) - cast({{ hits }} as double) / nullif({{ tries }}, 0)
        > {{ errors }} * {{ error_of_shares(hits, tries, hits_before, tries_before) }}
    )
{%- endmacro %}

{% macro error_of_shares(hits, tries, hits_before, tries_before) -%}
    {%- set pooled = '(cast(' ~ hits ~ ' + ' ~ hits_before ~ ' as double) / nullif(' ~ tries ~ ' + ' ~ tries_before ~ ', 0))' -%}
    sqrt(greatest(0.0, {{ pooled }} * (1 - {{ pooled }})) * (1.0 / nullif({{ tries }}, 0) + 1.0 / nullif({{ tries_before }}, 0)))
{%- endmacro %}

{#- `what` of the last 13 rows of the window, and of the same 13 rows 52 rows earlier; NULL unless all 13 are known. -#}
{% macro of_13_weeks(what, order, aggregate='sum') -%}
    case when count({{ what }}) over ({{ order }} rows 12 preceding) = 13 then {{ aggregate }}({{ what }}) over ({{ order }} rows 12 preceding) end
{%- endmacro %}

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

{#- What past windows brought that was not open at their start, for each forecast: the 52 latest windows that were over by then.

`horizons` names a CTE: forecast_key, known_week (whole week number), weeks_from and weeks_to (weeks ahead, fraction allowed).
Gives one row per forecast, sales process and window: forecast_key, sales_process, recency (1: the latest), n_won, money, both
rounded to 6 decimals: the difference of two equal sums of doubles is noise.
-#}
{% macro new_win_windows(horizons) -%}
    {%- set weight -%}
        case flow.within_weeks
            when floor(horizons.weeks_to) then 1 - (horizons.weeks_to - floor(horizons.weeks_to))
            when floor(horizons.weeks_to) + 1 then horizons.weeks_to - floor(horizons.weeks_to)
            else 0
        end
        - case flow.within_weeks
            when floor(horizons.weeks_from) then 1 - (horizons.weeks_from - floor(horizons.weeks_from))
            when floor(horizons.weeks_from) + 1 then horizons.weeks_from - floor(horizons.weeks_from)
            else 0
        end
    {%- endset -%}
    select
        horizons.forecast_key,
        flow.sales_process,
        cast(min(horizons.known_week - ceil(horizons.weeks_to)) - flow.start_week_no as integer) + 1 as recency,
        round({{ ordered_sum('(' ~ weight ~ ') * flow.n_won', 'flow.within_weeks') }}, 6) as n_won,
        round({{ ordered_sum('(' ~ weight ~ ') * cast(flow.money as double)', 'flow.within_weeks') }}, 6) as money
    from {{ horizons }} as horizons
    inner join {{ ref('fct_new_win_flow') }} as flow
        on
            horizons.known_week - ceil(horizons.weeks_to) >= flow.start_week_no
            and horizons.known_week - ceil(horizons.weeks_to) - 52 < flow.start_week_no
    group by horizons.forecast_key, flow.sales_process, flow.start_week_no
{%- endmacro %}

{#- Fewer past windows than a quarter of weeks teach nothing of the flow. -#}
{% macro fewest_windows() -%}
    {{ return(13) }}
{%- endmacro %}

{#- Survival at a horizon, one row per group, from a life table (see survival.sql): S (Kaplan & Meier 1958) and Greenwood's sum
    of d / (n (n - d)) (Greenwood 1926), NULL where the last of those watched has left. Only durations up to `horizon` enter. -#}
{% macro survival_at(life_table, keys, horizon) -%}
    select
        {{ keys | join(', ') }},
        min(survival) as survival,
        case
            when min(survival) > 0
                then {{ ordered_sum('cast(leavers as double) / nullif(1.0 * at_risk * (at_risk - leavers), 0)', 'duration_days') }}
        end as greenwood
    from {{ life_table }}
    where duration_days <= {{ horizon }}
    group by {{ keys | join(', ') }}
{%- endmacro %}

{#- Log-log interval (95 %) of S: S ^ exp(+-z sqrt(greenwood) / ln S) (Kalbfleisch & Prentice 1980). S = 0 or 1 has none. -#}
{% macro survival_bound(survival, greenwood, lower) -%}
    case
        when {{ survival }} > 0 and {{ survival }} < 1 then power(
            {{ survival }}, exp({{ '-' if lower else '' }}1.959963984540054 * sqrt({{ greenwood }}) / ln({{ survival }}))
        )
    end
{%- endmacro %}

{#- Survival at a horizon, one row per group, from a life table (see survival.sql): S (Kaplan & Meier 1958) and Greenwood's sum
    of d / (n (n - d)) (Greenwood 1926), NULL where the last of those watched has left. Only durations up to `horizon` enter. -#}
{% macro survival_at(life_table, keys, horizon) -%}
    select
        {{ keys | join(', ') }},
        min(survival) as survival,
        case
            when min(survival) > 0
                then {{ ordered_sum('leavers / at_risk / nullif(at_risk - leavers, 0)', 'duration_days') }}
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

{#- End of the 95 % interval of a survival quantile: the shortest duration by which the log-log bound of S has come down to what
    is left (Brookmeyer & Crowley 1982); NULL where it never does. Where all have left, both bounds are 0. -#}
{% macro survival_quantile_bound(share, lower) -%}
    min(
        case
            when
                case
                    when survival = 0 then 0
                    when survival < 1 then {{ survival_bound('survival', 'greenwood', lower) }}
                    else 1
                end <= 1 - {{ share }} + 1e-12
                then duration_days
        end
    )
{%- endmacro %}

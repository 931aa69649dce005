{#- Survival with censoring, from a CTE `observations`: columns `keys`, duration_days, exit_kind (NULL: censored).

life_table: one row per group and distinct duration: at_risk n, leavers d, survival S after it and S before it (Kaplan & Meier 1958).
competing_life_table: the same, with leavers by kind.
competing_incidence: a column per kind: F_k = sum S(t-) d_k / n (Aalen & Johansen 1978).
competing_ends: F_k and S at a horizon (none: at the end). Only durations up to `horizon` enter.
competing_variance: the Aalen variance of F_k there (as in Marubini & Valsecchi 1995).
Zero lengths are durations like any other; leavers precede the censored of the same duration.
-#}
{% macro life_table(observations, keys) -%}
    {%- set key_list = keys | join(', ') -%}
    select
        *,
        {{ running_product('1.0 - cast(leavers as double) / at_risk', key_list, 'duration_days') }} as survival,
        coalesce({{ lagged_product(key_list) }}, 1.0) as survival_before
    from (
        select
            {{ key_list }},
            duration_days,
            count(exit_kind) as leavers,
            cast(sum(cast(count(*) as double)) over (
                partition by {{ key_list }} order by duration_days desc rows unbounded preceding
            ) as bigint) as at_risk
        from {{ observations }}
        group by {{ key_list }}, duration_days
    ) as counted
{%- endmacro %}

{#- Product of the factors before the row. -#}
{% macro lagged_product(key_list) -%}
    {{ return(adapter.dispatch('lagged_product', 'leanfunnel')(key_list)) }}
{%- endmacro %}

{% macro duckdb__lagged_product(key_list) -%}
    product(1.0 - cast(leavers as double) / at_risk) over (
        partition by {{ key_list }} order by duration_days rows between unbounded preceding and 1 preceding
    )
{%- endmacro %}

{#- The same with the leavers of each kind in a column of their own. `exits`: {kind: the exit_kinds that count as it}. Few columns and one
    row a duration: sorted and summed once for all kinds. -#}
{% macro competing_life_table(observations, keys, exits) -%}
    {%- set key_list = keys | join(', ') -%}
    select
        *,
        {{ running_product('1.0 - leavers / at_risk', key_list, 'duration_days') }} as survival,
        coalesce({{ lagged_product(key_list) }}, 1.0) as survival_before
    from (
        select
            {{ key_list }},
            duration_days,
            cast(count(exit_kind) as double) as leavers,
            {%- for kind, counts_as in exits.items() %}
            cast(count(case when exit_kind in ('{{ counts_as | join("', '") }}') then 1 end) as integer) as {{ kind }}_leavers,
            {%- endfor %}
            sum(cast(count(*) as double)) over (
                partition by {{ key_list }} order by duration_days desc rows unbounded preceding
            ) as at_risk
        from {{ observations }}
        group by {{ key_list }}, duration_days
    ) as counted
{%- endmacro %}

{% macro competing_incidence(life_table, keys, exits) -%}
    select
        *,
        {%- for kind in exits %}
        sum(survival_before * {{ kind }}_leavers / at_risk) over so_far as {{ kind }}_share{{ ',' if not loop.last }}
        {%- endfor %}
    from {{ life_table }}
    where leavers > 0
    window so_far as (partition by {{ keys | join(', ') }} order by duration_days rows unbounded preceding)
{%- endmacro %}

{% macro competing_ends(incidence, keys, exits, horizon) -%}
    select
        {{ keys | join(', ') }},
        {%- for kind in exits %}
        max({{ kind }}_share) as {{ kind }}_share,
        {%- endfor %}
        min(survival) as survival
    from {{ incidence }}
    {%- if horizon %}
    where duration_days <= {{ horizon }}
    {%- endif %}
    group by {{ keys | join(', ') }}
{%- endmacro %}

{% macro competing_variance(incidence, ends, keys, exits, horizon) -%}
    select
        {% for key in keys %}curves.{{ key }}, {% endfor %}
        {%- for kind in exits %}
        {%- set terms -%}
            power(ends.{{ kind }}_share - curves.{{ kind }}_share, 2) * coalesce(curves.leavers / nullif((curves.at_risk - 1) * (curves.at_risk - curves.leavers), 0), 0)
            + coalesce(power(curves.survival_before, 2) * curves.{{ kind }}_leavers * (curves.at_risk - curves.{{ kind }}_leavers)
            / nullif(curves.at_risk * curves.at_risk * (curves.at_risk - 1), 0), 0)
            - 2 * coalesce((ends.{{ kind }}_share - curves.{{ kind }}_share) * curves.survival_before * curves.{{ kind }}_leavers
            * (curves.at_risk - curves.{{ kind }}_leavers)
            / nullif(curves.at_risk * (curves.at_risk - curves.leavers) * (curves.at_risk - 1), 0), 0)
        {%- endset %}
        {{ exact_sum(terms) }} as {{ kind }}_variance{{ ',' if not loop.last }}
        {%- endfor %}
    from {{ incidence }} as curves
    inner join {{ ends }} as ends
        on {% for key in keys %}{{ 'and ' if not loop.first }}curves.{{ key }} = ends.{{ key }} {% endfor %}
    where curves.duration_days <= {{ horizon }}
    group by {% for key in keys %}curves.{{ key }}{{ ', ' if not loop.last }}{% endfor %}
{%- endmacro %}

{#- Log-log interval (95 %) of an incidence: F ^ exp(+-z se / (F ln F)). F = 0 or 1 has none. `lower` is true or false. -#}
{% macro log_log_bound(incidence, variance, lower) -%}
    case
        when {{ incidence }} > 0 and {{ incidence }} < 1 then power(
            {{ incidence }},
            exp({{ '-' if lower else '' }}1.959963984540054 * sqrt(greatest({{ variance }}, 0)) / ({{ incidence }} * ln({{ incidence }})))
        )
    end
{%- endmacro %}

{#- Shortest duration by which a share has left; NULL where S never gets there. 1e-12 is the noise of a product of doubles. -#}
{% macro survival_quantile(share) -%}
    min(case when survival <= 1 - {{ share }} + 1e-12 then duration_days end)
{%- endmacro %}

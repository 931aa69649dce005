{#- Survival with censoring, from a CTE `observations`: columns `keys`, duration_days, exit_kind (NULL: censored).

life_table: one row per group and distinct duration: at_risk n, leavers d, survival S after it and S before it (Kaplan & Meier 1958).
cumulative_incidence: one row per group, kind and duration: F_k = sum S(t-) d_k / n (Aalen & Johansen 1978).
incidence_at: F_k at a horizon with the Aalen variance (as in Marubini & Valsecchi 1995). Only durations up to `horizon` enter.
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
            sum(count(*)) over (partition by {{ key_list }} order by duration_days desc rows unbounded preceding) as at_risk
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

{% macro cumulative_incidence(life_table, leavers_by_kind, keys) -%}
    select
        kinds.*,
        life.at_risk,
        life.leavers,
        life.survival,
        life.survival_before,
        sum(life.survival_before * kinds.kind_leavers / life.at_risk) over (
            partition by {% for key in keys %}kinds.{{ key }}, {% endfor %}kinds.exit_kind
            order by kinds.duration_days
            rows unbounded preceding
        ) as incidence
    from {{ leavers_by_kind }} as kinds
    inner join {{ life_table }} as life
        on kinds.duration_days = life.duration_days{% for key in keys %} and kinds.{{ key }} = life.{{ key }}{% endfor %}
{%- endmacro %}

{% macro incidence_at(incidence, keys, horizon) -%}
    {%- set key_list = keys | join(', ') -%}
    select
        {{ key_list }},
        exit_kind,
        max(incidence_end) as incidence,
        {%- set terms -%}
            coalesce(power(incidence_end - incidence, 2) * leavers / nullif((at_risk - 1.0) * (at_risk - leavers), 0), 0)
            + coalesce(power(survival_before, 2) * kind_leavers * (at_risk - kind_leavers)
            / nullif(1.0 * at_risk * at_risk * (at_risk - 1), 0), 0)
            - 2 * coalesce((incidence_end - incidence) * survival_before * kind_leavers * (at_risk - kind_leavers)
            / nullif(1.0 * at_risk * (at_risk - leavers) * (at_risk - 1), 0), 0)
        {%- endset %}
        {{ ordered_sum(terms, 'duration_days') }} as variance
    from (
        select
            *,
            max(incidence) over (partition by {{ key_list }}, exit_kind) as incidence_end
        from {{ incidence }}
        {%- if horizon %}
        where duration_days <= {{ horizon }}
        {%- endif %}
    ) as up_to_horizon
    group by {{ key_list }}, exit_kind
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

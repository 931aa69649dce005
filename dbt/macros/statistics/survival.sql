{#- Survival with censoring, from a CTE `observations`: columns `keys`, duration_days, exit_kind (NULL: censored).

life_table: one row per group and distinct duration: at_risk n, leavers d, survival S after it and S before it
    (Kaplan & Meier 1958), greenwood: the sum of d / (n (n - d)) up to it (Greenwood 1926), for `survival_quantile_bound`.
competing_life_table: the same, with leavers by kind; `observations` tell exit_no, a number, instead of exit_kind.
competing_incidence: F_k = sum S(t-) d_k / n (Aalen & Johansen 1978). `exits`: for each kind, the numbers that count as it.
competing_ends: F_k at the end and at a horizon, with its variance there.
Zero lengths are durations like any other; leavers precede the censored of the same duration.
-#}
{% macro life_table(observations, keys) -%}
    {%- set key_list = keys | join(', ') -%}
    select
        *,
        {{ running_product('1.0 - leavers / at_risk', key_list, 'duration_days') }} as survival,
        coalesce({{ product_before('1.0 - leavers / at_risk', key_list, 'duration_days') }}, 1.0) as survival_before,
        sum(coalesce(leavers / nullif(at_risk * (at_risk - leavers), 0), 0)) over (
            partition by {{ key_list }} order by duration_days rows unbounded preceding
        ) as greenwood
    from (
        select
            {{ key_list }},
            duration_days,
            cast(count(exit_kind) as double) as leavers,
            sum(cast(count(*) as double)) over (
                partition by {{ key_list }} order by duration_days desc rows unbounded preceding
            ) as at_risk
        from {{ observations }}
        group by {{ key_list }}, duration_days
    ) as counted
{%- endmacro %}

{#- The same for leavers of several kinds: one row per group, duration and kind (`n`: how many a row of `observations` stands for), `exit_no` a number, NULL: censored. Ties share
at_risk n, leavers d of all kinds and what held before them: S(t-) and the sum of d / ((n - 1) (n - d)). Narrow rows, put in order
twice: their width decides whether millions of them fit into the memory. -#}
{% macro competing_life_table(observations, keys, n='count(*)') -%}
    {%- set key_list = keys | join(', ') -%}
    select
        *,
        coalesce({{ product_before('case when tie_no = 0 then 1.0 - leavers / at_risk else 1.0 end', key_list, 'duration_days, tie_no desc') }}, 1.0)
            as survival_before,
        coalesce(sum(case when tie_no = 0 then leavers / nullif((at_risk - 1) * (at_risk - leavers), 0) end) over (
            partition by {{ key_list }} order by duration_days, tie_no desc rows between unbounded preceding and 1 preceding
        ), 0) as hazard_before
    from (
        select
            *,
            sum(n) over up_from as at_risk,
            sum(case when exit_no is not null then n else 0 end) over (
                partition by {{ key_list }} order by duration_days desc range between current row and current row
            ) as leavers,
            -- of rows of one duration, 0 stands for all
            cast(row_number() over up_from - rank() over up_from as integer) as tie_no
        from (
            select
                {{ key_list }},
                duration_days,
                exit_no,
                cast({{ n }} as double) as n
            from {{ observations }}
            group by {{ key_list }}, duration_days, exit_no
        ) as counted
        window up_from as (partition by {{ key_list }} order by duration_days desc)
    ) as tied
    where leavers > 0
{%- endmacro %}

{#- F_k at each duration at which somebody left that way: kind_no, the place in `exits` of its numbers of exits. What may leave in one
of several ways is counted together first. -#}
{% macro competing_incidence(life_table, keys, exits) -%}
    {%- set key_list = keys | join(', ') -%}
    {%- set columns = key_list ~ ', kind_no, duration_days, n, at_risk, leavers, survival_before, hazard_before' -%}
    select
        {{ columns }},
        survival_before * n / at_risk as step_of,
        sum(survival_before * n / at_risk) over (partition by {{ key_list }}, kind_no order by duration_days rows unbounded preceding)
            as share
    from (
        select
            {{ columns | replace('kind_no', single_exits(exits)) }}
        from {{ life_table }}
        where exit_no is not null
        {%- for numbers in exits if numbers | length > 1 %}
        union all
        select
            {{ key_list }},
            {{ exits.index(numbers) }} as kind_no,
            duration_days,
            sum(n) as n,
            max(at_risk) as at_risk,
            max(leavers) as leavers,
            max(survival_before) as survival_before,
            max(hazard_before) as hazard_before
        from {{ life_table }}
        where exit_no in ({{ numbers | join(', ') }})
        group by {{ key_list }}, duration_days
        {%- endfor %}
    ) as left_so
{%- endmacro %}

{% macro single_exits(exits) -%}
    case exit_no{% for numbers in exits if numbers | length == 1 %} when {{ numbers[0] }} then {{ exits.index(numbers) }}{% endfor %} end as kind_no
{%- endmacro %}

{#- Per group and kind: F_k at a horizon and at the end, and the Aalen variance of the former (as in Marubini & Valsecchi 1995). Its sum
of (F(t) - F(s))^2 d / ((n - 1) (n - d)) over s, summed by parts, needs nothing but the rows of its own kind. -#}
{% macro competing_ends(incidence, keys, horizon) -%}
    select
        {{ keys | join(', ') }},
        kind_no,
        share_ever,
        share_within,
        coalesce(2 * share_within * linear_terms + square_terms, 0) as variance_within
    from (
        select
            {{ keys | join(', ') }},
            kind_no,
            max(share) as share_ever,
            max(case when duration_days <= {{ horizon }} then share end) as share_within,
            {{ exact_sum('case when duration_days <= ' ~ horizon ~ ' then hazard_before * step_of - both_terms end') }} as linear_terms,
            {{ exact_sum(
                'case when duration_days <= ' ~ horizon
                ~ ' then own_terms + 2 * share * both_terms - hazard_before * step_of * (2 * share - step_of) end'
            ) }} as square_terms
        from (
            select
                *,
                coalesce(power(survival_before, 2) * n * (at_risk - n) / nullif(at_risk * at_risk * (at_risk - 1), 0), 0) as own_terms,
                coalesce(survival_before * n * (at_risk - n) / nullif(at_risk * (at_risk - leavers) * (at_risk - 1), 0), 0) as both_terms
            from {{ incidence }}
        ) as termed
        group by {{ keys | join(', ') }}, kind_no
    ) as summed
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

{#- Survival with censoring, from a CTE `observations`: columns `keys`, duration_days, exit_kind (NULL: censored).

life_table: one row per group and distinct duration: at_risk n, leavers d, survival S after it (Kaplan & Meier 1958), greenwood: the
    sum of d / (n (n - d)) up to it (Greenwood 1926), for `survival_quantile_bound`.
competing_life_table: one row per leaver, of several kinds; `observations` tell exit_no, a number, instead of exit_kind.
competing_ends: F_k = sum S(t-) d_k / n (Aalen & Johansen 1978) at the end and at a horizon, with its variance there.
Zero lengths are durations like any other; leavers precede the censored of the same duration.
All stand in one order, by duration, and of those that leave after the same one the last stands for all: `in_turn` counts down to it.
-#}
{% macro life_table(observations, keys) -%}
    {%- set key_list = keys | join(', ') -%}
    {%- set stands_for_all = 'in_turn = at_risk - greatest(leavers - 1, 0)' -%}
    select *
    from (
        select
            *,
            {{ running_product(
                'case when ' ~ stands_for_all ~ ' then (at_risk - leavers) / at_risk else 1 end', key_list, 'in_turn desc'
            ) }} as survival,
            sum(case when {{ stands_for_all }} then coalesce(leavers / at_risk / nullif(at_risk - leavers, 0), 0) else 0 end) over (
                partition by {{ key_list }} order by in_turn desc rows unbounded preceding
            ) as greenwood
        from (
            {{ taken_in_turn(observations, keys, 'exit_kind') }}
        ) as watched
    ) as every_row
    where {{ stands_for_all }}
{%- endmacro %}

{#- Everybody watched; at_risk: how many were watched that long, leavers: how many left then. `n`: the column that says how many a row
of `observations` stands for. Places in an order cost little, running sums much. -#}
{% macro taken_in_turn(observations, keys, exit, n=none) -%}
    {%- set group = 'partition by ' ~ keys | join(', ') -%}
    {%- set by_length = group ~ ' order by duration_days' -%}
    {%- set in_turn = by_length ~ ', ' ~ exit ~ ' nulls last' -%}
    {%- set same_length = by_length ~ ' range between current row and current row' -%}
    select
        {{ keys | join(', ') }},
        duration_days,
        {{ exit }},
        {%- if n is none %}
        cast(count(*) over ({{ group }}) - rank() over ({{ by_length }}) + 1 as integer) as at_risk,
        cast(count(*) over ({{ group }}) - row_number() over ({{ in_turn }}) + 1 as integer) as in_turn,
        cast(count({{ exit }}) over ({{ same_length }}) as integer) as leavers
        {%- else %}
        cast({{ n }} as integer) as n,
        cast(sum({{ n }}) over ({{ group }}) - sum({{ n }}) over ({{ by_length }}) + sum({{ n }}) over ({{ same_length }}) as integer)
            as at_risk,
        cast(sum({{ n }}) over ({{ group }}) - sum({{ n }}) over ({{ in_turn }} rows unbounded preceding) + {{ n }} as integer) as in_turn,
        cast(sum(case when {{ exit }} is not null then {{ n }} else 0 end) over ({{ same_length }}) as integer) as leavers
        {%- endif %}
    from {{ observations }}
{%- endmacro %}

{#- weight: S(t-) / n, what a leaver adds to F. hazard_before: the sum of d / ((n - 1) (n - d)) over shorter durations. -#}
{% macro competing_life_table(observations, keys, n=none) -%}
    {%- set key_list = keys | join(', ') -%}
    {%- set stands_for_all = 'in_turn - ' ~ ('n' if n else '1') ~ ' = at_risk - leavers' -%}
    select
        {{ key_list }},
        duration_days,
        exit_no,
        {%- if n %}
        n,
        {%- endif %}
        at_risk,
        leavers,
        survival_before / at_risk as weight,
        survival_before * (at_risk - leavers) / at_risk as survival,
        hazard_before
    from (
        select
            *,
            coalesce(
                {{ product_before(
                    'case when ' ~ stands_for_all ~ ' then (at_risk - leavers) / at_risk else 1 end', key_list, 'in_turn desc'
                ) }}, 1
            ) as survival_before,
            coalesce(sum(
                case when {{ stands_for_all }} then coalesce(leavers / nullif(at_risk - 1, 0) / nullif(at_risk - leavers, 0), 0) else 0 end
            ) over (partition by {{ key_list }} order by in_turn desc rows between unbounded preceding and 1 preceding), 0)
                as hazard_before
        from (
            {{ taken_in_turn(observations, keys, 'exit_no', n) }}
        ) as watched
        where exit_no is not null
    ) as weighed
{%- endmacro %}

{#- Per group and kind (kind_no: the place in `exits` of the numbers that count as it): F_k at a horizon and at the end, and the Aalen
variance of the former (as in Marubini & Valsecchi 1995). Its sum of (F(t) - F(s))^2 d / ((n - 1) (n - d)) over s, summed by parts, needs
nothing but the rows of its own kind. share: F_k so far; alike: d_k. -#}
{% macro competing_ends(life_table, keys, exits, horizon, n=none) -%}
    {%- set key_list = keys | join(', ') -%}
    {%- set columns = 'duration_days, at_risk, leavers, weight, hazard_before' ~ (', n' if n else '') -%}
    {%- set added = 'n * weight' if n else 'weight' -%}
    with left_so as (
        select
            {{ key_list }},
            case exit_no
                {%- for numbers in exits if numbers | length == 1 %}
                when {{ numbers[0] }} then {{ exits.index(numbers) }}
                {%- endfor %}
            end as kind_no,
            {{ columns }}
        from {{ life_table }}
        {%- for numbers in exits if numbers | length > 1 %}
        union all
        select
            {{ key_list }},
            {{ exits.index(numbers) }} as kind_no,
            {{ columns }}
        from {{ life_table }}
        inner join (
            select {{ key_list }}
            from {{ life_table }}
            where exit_no in ({{ numbers | join(', ') }})
            group by {{ key_list }}
            having min(exit_no) < max(exit_no)
        ) as of_several using ({{ key_list }})
        where exit_no in ({{ numbers | join(', ') }})
        {%- endfor %}
    ),

    incidence as (
        select
            *,
            {{ 'sum(n)' if n else 'count(*)' }} over (
                partition by {{ key_list }}, kind_no order by duration_days range between current row and current row
            ) as alike,
            sum({{ added }}) over (partition by {{ key_list }}, kind_no order by duration_days) as share
        from left_so
    ),

    termed as (
        select
            {{ key_list }},
            kind_no,
            share,
            duration_days <= {{ horizon }} as is_within,
            {{ added }} * (hazard_before - both_terms) as linear_term,
            {{ added }} * (
                weight * own_terms + 2 * share * both_terms - hazard_before * (2 * share - alike * weight)
            ) as square_term
        from (
            select
                *,
                coalesce((at_risk - alike) / nullif(at_risk - 1, 0), 0) as own_terms,
                coalesce((at_risk - alike) / nullif(at_risk - leavers, 0) / nullif(at_risk - 1, 0), 0) as both_terms
            from incidence
        ) as parts
    ),

    summed as (
        select
            {{ key_list }},
            kind_no,
            max(share) as share_ever,
            max(case when is_within then share end) as share_within,
            {{ exact_sum('case when is_within then linear_term end') }} as linear_terms,
            {{ exact_sum('case when is_within then square_term end') }} as square_terms
        from termed
        group by {{ key_list }}, kind_no
    ),

    told as (
        select * from summed
        {%- for numbers in exits if numbers | length > 1 %}
        union all
        -- where all left in the same one of several ways, that is the kind
        select
            {{ key_list }},
            {{ exits.index(numbers) }} as kind_no,
            max(share_ever) as share_ever,
            max(share_within) as share_within,
            max(linear_terms) as linear_terms,
            max(square_terms) as square_terms
        from summed
        where kind_no in ({% for number in numbers %}{{ exits.index([number]) }}{{ ', ' if not loop.last }}{% endfor %})
        group by {{ key_list }}
        having count(*) = 1
        {%- endfor %}
    )

    select
        {{ key_list }},
        kind_no,
        share_ever,
        share_within,
        coalesce(2 * share_within * linear_terms + square_terms, 0) as variance_within
    from told
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

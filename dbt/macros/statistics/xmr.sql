{#- XmR charts (individual values and moving ranges; Wheeler 1993, Understanding Variation), from a CTE `series`: columns `keys`,
period_no (whole number, one step a period) and value (double; NULL: nothing to measure in the period). A period without a row or
without a value is missing: no range and no run goes across it. Put what starts new limits (a baseline, a version) among the keys.

moving_ranges: the series with moving_range = |value - value of the period before|; NULL for the first.
xmr_limits: one row per key with limits from the mean range: mean +- 2.66 mean moving range, upper range limit 3.268 mean moving
range. 2.66 = 3 / d2 and 3.268 = D4 for ranges of two.
xmr_signals: the ranges with their limits and what tells a change from noise, each at the point that completes it:
    is_outside        the value lies beyond a limit
    is_run_of_8       it and the 7 periods before it lie on one side of the mean; a value on the mean ends a run
    is_3_of_4         it and 2 of the 3 periods before it lie nearer to the same limit than to the mean; none of the 4 is missing
    is_range_outside  the moving range exceeds its limit
-#}
{% macro moving_ranges(series, keys) -%}
    {%- set key_list = keys | join(', ') -%}
    select
        *,
        case
            when lag(period_no) over (partition by {{ key_list }} order by period_no) = period_no - 1
                then abs(value - lag(value) over (partition by {{ key_list }} order by period_no))
        end as moving_range
    from {{ series }}
{%- endmacro %}

{% macro xmr_limits(ranges, keys) -%}
    {%- set key_list = keys | join(', ') -%}
    select
        *,
        mean_value - 2.66 * mean_moving_range as lower_limit,
        mean_value + 2.66 * mean_moving_range as upper_limit,
        3.268 * mean_moving_range as upper_range_limit
    from (
        select
            {{ key_list }},
            count(value) as n_values,
            count(moving_range) as n_ranges,
            {{ ordered_sum('value', 'period_no') }} / nullif(count(value), 0) as mean_value,
            {{ ordered_sum('moving_range', 'period_no') }} / nullif(count(moving_range), 0) as mean_moving_range
        from {{ ranges }}
        group by {{ key_list }}
    ) as means
{%- endmacro %}

{% macro xmr_signals(ranges, limits, keys) -%}
    {%- set key_list = keys | join(', ') -%}
    select
        *,
        value > upper_limit or value < lower_limit as is_outside,
        moving_range > upper_range_limit as is_range_outside,
        case when value is not null then {{ all_of_last(8, 'side = 1', key_list) }} or {{ all_of_last(8, 'side = -1', key_list) }} end
            as is_run_of_8,
        case
            when value is not null
                then
                    (nearer = 1 and {{ count_of_last(4, 'nearer = 1', key_list) }} >= 3 and {{ all_of_last(4, 'value is not null', key_list) }})
                    or (nearer = -1 and {{ count_of_last(4, 'nearer = -1', key_list) }} >= 3 and {{ all_of_last(4, 'value is not null', key_list) }})
        end as is_3_of_4
    from (
        select
            ranges.*,
            limits.n_values,
            limits.n_ranges,
            limits.mean_value,
            limits.mean_moving_range,
            limits.lower_limit,
            limits.upper_limit,
            limits.upper_range_limit,
            case when ranges.value > limits.mean_value then 1 when ranges.value < limits.mean_value then -1 else 0 end as side,
            case
                when ranges.value - limits.mean_value > 1.33 * limits.mean_moving_range then 1
                when limits.mean_value - ranges.value > 1.33 * limits.mean_moving_range then -1
                else 0
            end as nearer
        from {{ ranges }} as ranges
        inner join {{ limits }} as limits
            on {% for key in keys %}{{ 'and ' if not loop.first }}ranges.{{ key }} = limits.{{ key }} {% endfor %}
    ) as judged
{%- endmacro %}

{% macro count_of_last(periods, condition, key_list) -%}
    coalesce(sum(case when {{ condition }} then 1 else 0 end) over (
        partition by {{ key_list }} order by period_no range between {{ periods - 1 }} preceding and current row
    ), 0)
{%- endmacro %}

{% macro all_of_last(periods, condition, key_list) -%}
    {{ count_of_last(periods, condition, key_list) }} = {{ periods }}
{%- endmacro %}

{#- Aggregates and calendar pieces that engines spell differently. -#}

{#- Percentile by linear interpolation between order statistics (type 7, as numpy); NULLs are left out. -#}
{% macro percentile(expression, share) -%}
    {{ return(adapter.dispatch('percentile', 'leanfunnel')(expression, share)) }}
{%- endmacro %}

{% macro duckdb__percentile(expression, share) -%}
    quantile_cont({{ expression }}, {{ share }})
{%- endmacro %}

{% macro spark__percentile(expression, share) -%}
    percentile({{ expression }}, {{ share }})
{%- endmacro %}

{#- Product of a factor from the start of the partition up to the row. -#}
{% macro running_product(factor, partition_by, order_by) -%}
    {{ return(adapter.dispatch('running_product', 'leanfunnel')(factor, partition_by, order_by)) }}
{%- endmacro %}

{% macro duckdb__running_product(factor, partition_by, order_by) -%}
    product({{ factor }}) over (partition by {{ partition_by }} order by {{ order_by }} rows unbounded preceding)
{%- endmacro %}

{% macro spark__running_product(factor, partition_by, order_by) -%}
    case
        when min({{ factor }}) over (partition by {{ partition_by }} order by {{ order_by }} rows unbounded preceding) <= 0 then 0.0
        else exp(sum(ln(nullif({{ factor }}, 0))) over (partition by {{ partition_by }} order by {{ order_by }} rows unbounded preceding))
    end
{%- endmacro %}

{#- Product of a factor from the start of the partition up to the row before. -#}
{% macro product_before(factor, partition_by, order_by) -%}
    {{ return(adapter.dispatch('product_before', 'leanfunnel')(factor, partition_by, order_by)) }}
{%- endmacro %}

{% macro duckdb__product_before(factor, partition_by, order_by) -%}
    product({{ factor }}) over (partition by {{ partition_by }} order by {{ order_by }} rows between unbounded preceding and 1 preceding)
{%- endmacro %}

{% macro spark__product_before(factor, partition_by, order_by) -%}
    {%- set before = 'over (partition by ' ~ partition_by ~ ' order by ' ~ order_by ~ ' rows between unbounded preceding and 1 preceding)' -%}
    case when min({{ factor }}) {{ before }} <= 0 then 0.0 else exp(sum(ln(nullif({{ factor }}, 0))) {{ before }}) end
{%- endmacro %}

{#- Sum of doubles in a fixed order: their sum depends on it in the last digit, and the same inputs must give the same rows. -#}
{% macro ordered_sum(expression, order_by) -%}
    {{ return(adapter.dispatch('ordered_sum', 'leanfunnel')(expression, order_by)) }}
{%- endmacro %}

{% macro duckdb__ordered_sum(expression, order_by) -%}
    sum({{ expression }} order by {{ order_by }})
{%- endmacro %}

{% macro spark__ordered_sum(expression, order_by) -%}
    aggregate(array_sort(collect_list(struct({{ order_by }} as ordinal, {{ expression }} as term))), cast(0 as double), (total, item) -> total + item.term)
{%- endmacro %}

{#- Sum of doubles below 10^14 that does not depend on their order, as `ordered_sum`, and needs no sorting: of decimals, to 24 places. -#}
{% macro exact_sum(expression) -%}
    cast(sum(cast({{ expression }} as decimal(38, 24))) as double)
{%- endmacro %}

{#- One row per day, column `date_on`, both ends included. -#}
{% macro day_series(first_day, last_day) -%}
    {{ return(adapter.dispatch('day_series', 'leanfunnel')(first_day, last_day)) }}
{%- endmacro %}

{% macro duckdb__day_series(first_day, last_day) -%}
    select cast(unnest(generate_series({{ first_day }}, {{ last_day }}, interval 1 day)) as date) as date_on
{%- endmacro %}

{% macro spark__day_series(first_day, last_day) -%}
    select explode(sequence({{ first_day }}, {{ last_day }}, interval 1 day)) as date_on
{%- endmacro %}

{#- Names in one text, in alphabetical order. -#}
{% macro names_in_order(expression, separator=', ') -%}
    {{ return(adapter.dispatch('names_in_order', 'leanfunnel')(expression, separator)) }}
{%- endmacro %}

{% macro duckdb__names_in_order(expression, separator) -%}
    string_agg(distinct {{ expression }}, '{{ separator }}' order by {{ expression }})
{%- endmacro %}

{% macro spark__names_in_order(expression, separator) -%}
    array_join(array_sort(collect_set({{ expression }})), '{{ separator }}')
{%- endmacro %}

{#- Seconds between two instants, exact to the microsecond, as a decimal: additive figures must split exactly. -#}
{% macro exact_seconds(from_instant, to_instant) -%}
    {{ return(adapter.dispatch('exact_seconds', 'leanfunnel')(from_instant, to_instant)) }}
{%- endmacro %}

{% macro duckdb__exact_seconds(from_instant, to_instant) -%}
    cast((epoch_us({{ to_instant }}) - epoch_us({{ from_instant }})) * 0.000001 as decimal(28, 6))
{%- endmacro %}

{% macro spark__exact_seconds(from_instant, to_instant) -%}
    cast((unix_micros({{ to_instant }}) - unix_micros({{ from_instant }})) * 0.000001 as decimal(28, 6))
{%- endmacro %}

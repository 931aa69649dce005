with run as (
    select as_of
    from {{ ref('dim_run') }}
),

cells as (
    {{ scored_pipeline() }}
),

said as (
    select
        sales_process,
        'survival model' as method,
        p_model as p,
        n_open,
        n_won
    from cells
    where is_scored
    union all
    select
        sales_process,
        'CRM probability' as method,
        p_crm as p,
        n_open,
        n_won
    from cells
    where is_scored
),

levelled as (
    select * from said
    union all
    select
        'all processes' as sales_process,
        method,
        p,
        n_open,
        n_won
    from said
),

bins as (
    select
        sales_process,
        method,
        cast(least(floor(10 * p), 9) as integer) as bin,
        sum(n_open) as n,
        sum(n_won) as n_won,
        {{ ordered_sum('n_open * p', 'p, n_open') }} as p_sum
    from levelled
    group by sales_process, method, cast(least(floor(10 * p), 9) as integer)
)

select
    bins.sales_process || ': ' || bins.method || ': ' || cast(bins.bin as {{ dbt.type_string() }}) as reliability_key,
    bins.sales_process,
    bins.method,
    cast(bins.bin as double) / 10 as p_from,
    cast(bins.bin + 1 as double) / 10 as p_to,
    cast(bins.n as bigint) as n_deal_weeks,
    cast(bins.n_won as bigint) as n_won,
    cast(bins.p_sum / bins.n as double) as mean_p,
    cast(bins.n_won as double) / bins.n as share_won,
    cast({{ wilson_bound('bins.n_won', 'bins.n', '-') }} as double) as share_won_lower,
    cast({{ wilson_bound('bins.n_won', 'bins.n', '+') }} as double) as share_won_upper,
    run.as_of
from bins
cross join run

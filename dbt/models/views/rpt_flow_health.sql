{#- How many weeks give the limits, and how many ranges at least; told in the description of the model. -#}
{%- set baseline_weeks, least_ranges = 52, 11 -%}
with run as (
    select as_of from {{ ref('dim_run') }}
),

-- an experiment on a metric starts new limits for it
started as (
    select
        weeks.flow_week_key,
        max(experiments.first_week_on) as first_week_on
    from {{ ref('fct_flow_weeks') }} as weeks
    inner join {{ ref('dim_experiment') }} as experiments
        on
            weeks.sales_process = experiments.sales_process
            and weeks.metric = experiments.metric
            and weeks.week_starts_on >= experiments.first_week_on
    group by weeks.flow_week_key
),

series as (
    select
        weeks.*,
        coalesce(cast(started.first_week_on as {{ dbt.type_string() }}), 'all weeks') as baseline
    from {{ ref('fct_flow_weeks') }} as weeks
    left join started on weeks.flow_week_key = started.flow_week_key
    where weeks.weeks_ago <= {{ baseline_weeks }}
),

ranges as (
    {{ moving_ranges('series', ['sales_process', 'metric', 'baseline']) }}
),

limits as (
    {{ xmr_limits('ranges', ['sales_process', 'metric', 'baseline']) }}
),

signals as (
    {{ xmr_signals('ranges', 'limits', ['sales_process', 'metric', 'baseline']) }}
),

judged as (
    select
        *,
        case
            when n_ranges < {{ least_ranges }} then 'too few'
            when carries_over or avg(n) over (partition by sales_process, metric, baseline) < sparse_below then 'limits approximate'
            else 'ok'
        end as reads
    from signals
)

select
    judged.sales_process
    || ': ' || judged.metric
    || ': ' || cast(judged.week_starts_on as {{ dbt.type_string() }}) as week_metric_key,
    judged.week_starts_on,
    judged.sales_process,
    judged.metric,
    cast(judged.metric_order as integer) as metric_order,
    judged.unit,
    min(judged.week_starts_on) over (partition by judged.sales_process, judged.metric, judged.baseline) as limits_from_week_on,
    judged.baseline <> 'all weeks' as is_since_experiment,
    judged.value,
    judged.n,
    judged.moving_range,
    cast(judged.n_values as bigint) as n_values,
    cast(judged.n_ranges as bigint) as n_ranges,
    case when judged.reads <> 'too few' then judged.mean_value end as mean_value,
    case when judged.reads <> 'too few' and judged.lower_limit >= 0 then judged.lower_limit end as lower_limit,
    case when judged.reads <> 'too few' and (judged.metric <> 'win_rate' or judged.upper_limit <= 1) then judged.upper_limit end
        as upper_limit,
    case when judged.reads <> 'too few' then judged.upper_range_limit end as upper_range_limit,
    case when judged.reads <> 'too few' then judged.is_outside end as is_outside,
    case when judged.reads <> 'too few' then judged.is_run_of_8 end as is_run_of_8,
    case when judged.reads <> 'too few' then judged.is_3_of_4 end as is_3_of_4,
    case when judged.reads <> 'too few' then judged.is_range_outside end as is_range_outside,
    case
        when judged.reads = 'too few' or judged.value is null then null
        when judged.is_outside then 'outside'
        when judged.is_run_of_8 then '8 in a row'
        when judged.is_3_of_4 then '3 of 4'
        when judged.is_range_outside then 'range'
        else 'none'
    end as signal,
    judged.reads,
    run.as_of
from judged
cross join run

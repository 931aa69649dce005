{#- Told in the description of the model. From 8 weeks on a side the t quantile has at least 7 degrees of freedom. -#}
{%- set least_weeks, most_weeks, least_ranges = 8, 52, 11 -%}
with run as (
    select as_of from {{ ref('dim_run') }}
),

-- what else moves the same metric there ends the weeks after, and begins those before
bounded as (
    select
        experiments.experiment_key,
        min(experiments.starts_on) as starts_on,
        max(case when others.first_week_on < experiments.first_week_on then others.first_week_on end) as earlier_on,
        min(case when others.first_week_on > experiments.first_week_on then others.first_week_on end) as later_on,
        min(case when others.first_week_on > experiments.first_week_on then others.starts_on end) as later_starts_on,
        sum(case when others.first_week_on = experiments.first_week_on then 1 else 0 end) - 1 as n_at_once
    from {{ ref('dim_experiment') }} as experiments
    inner join {{ ref('dim_experiment') }} as others
        on experiments.sales_process = others.sales_process and experiments.metric = others.metric
    group by experiments.experiment_key
),

-- whole weeks only: the week in which the change came, and that in which it ended, are of neither side
sided as (
    select
        experiments.experiment_key,
        experiments.first_week_on,
        weeks.week_starts_on,
        weeks.period_no,
        weeks.value,
        weeks.n,
        weeks.carries_over,
        weeks.sparse_below,
        case when weeks.week_starts_on >= experiments.first_week_on then 'after' else 'before' end as side
    from {{ ref('dim_experiment') }} as experiments
    inner join bounded on experiments.experiment_key = bounded.experiment_key
    inner join {{ ref('fct_flow_weeks') }} as weeks
        on
            experiments.sales_process = weeks.sales_process
            and experiments.metric = weeks.metric
            and (
                (
                    experiments.first_week_on <= weeks.week_starts_on
                    and {{ dbt.dateadd('day', 7 * most_weeks, 'experiments.first_week_on') }} > weeks.week_starts_on
                    and coalesce(experiments.ends_on, {{ end_of_time() }}) >= {{ dbt.dateadd('day', 6, 'weeks.week_starts_on') }}
                    and coalesce(bounded.later_starts_on, {{ end_of_time() }}) >= {{ dbt.dateadd('day', 7, 'weeks.week_starts_on') }}
                )
                or (
                    bounded.starts_on >= {{ dbt.dateadd('day', 7, 'weeks.week_starts_on') }}
                    and {{ dbt.dateadd('day', -7 * most_weeks, 'experiments.first_week_on') }} <= weeks.week_starts_on
                    and coalesce(bounded.earlier_on, {{ beginning_of_time() }}) <= weeks.week_starts_on
                )
            )
),

ranges as (
    {{ moving_ranges('sided', ['experiment_key', 'side']) }}
),

limits as (
    {{ xmr_limits('ranges', ['experiment_key', 'side']) }}
),

spread as (
    select
        ranges.experiment_key,
        ranges.side,
        min(ranges.week_starts_on) as from_week_on,
        max(ranges.week_starts_on) as to_week_on,
        {{ ordered_sum('power(ranges.value - limits.mean_value, 2)', 'ranges.period_no') }}
        / nullif(count(ranges.value) - 1, 0) as variance,
        avg(ranges.n) as mean_n,
        max(ranges.carries_over) as carries_over,
        min(ranges.sparse_below) as sparse_below
    from ranges
    inner join limits on ranges.experiment_key = limits.experiment_key and ranges.side = limits.side
    group by ranges.experiment_key, ranges.side
),

-- a week after the change that lies outside what was usual before it
outside as (
    select
        sided.experiment_key,
        sum(case when sided.value > limits.upper_limit or sided.value < limits.lower_limit then 1 else 0 end) as n_outside
    from sided
    inner join limits on sided.experiment_key = limits.experiment_key and limits.side = 'before'
    where sided.side = 'after'
    group by sided.experiment_key
),

metrics as (
    select distinct
        metric,
        unit
    from {{ ref('fct_flow_weeks') }}
),

joined as (
    select
        experiments.experiment_key,
        experiments.experiment,
        experiments.sales_process,
        experiments.problem,
        experiments.metric,
        metrics.unit,
        experiments.prediction,
        experiments.owner,
        experiments.starts_on,
        experiments.ends_on,
        experiments.first_week_on,
        bounded.n_at_once,
        case
            when cast(experiments.starts_on as timestamp) > run.as_of then 'planned'
            when {{ dbt.dateadd('day', 1, 'cast(experiments.ends_on as timestamp)') }} <= run.as_of then 'ended'
            else 'running'
        end as state,
        {%- for side in ['before', 'after'] %}
        {{ side }}.from_week_on as {{ side }}_from_week_on,
        {{ side }}.to_week_on as {{ side }}_to_week_on,
        coalesce(limits_{{ side }}.n_values, 0) as n_{{ side }},
        coalesce(limits_{{ side }}.n_ranges, 0) as ranges_{{ side }},
        limits_{{ side }}.mean_value as mean_{{ side }},
        limits_{{ side }}.lower_limit as lower_limit_{{ side }},
        limits_{{ side }}.upper_limit as upper_limit_{{ side }},
        {{ side }}.variance as variance_{{ side }},
        {%- endfor %}
        coalesce(before.carries_over, after.carries_over, false) as carries_over,
        coalesce(least(before.mean_n, after.mean_n) < before.sparse_below, false) as is_sparse,
        outside.n_outside,
        run.as_of
    from {{ ref('dim_experiment') }} as experiments
    cross join run
    inner join bounded on experiments.experiment_key = bounded.experiment_key
    left join metrics on experiments.metric = metrics.metric
    {%- for side in ['before', 'after'] %}
    left join spread as {{ side }} on experiments.experiment_key = {{ side }}.experiment_key and {{ side }}.side = '{{ side }}'
    left join limits as limits_{{ side }}
        on experiments.experiment_key = limits_{{ side }}.experiment_key and limits_{{ side }}.side = '{{ side }}'
    {%- endfor %}
    left join outside on experiments.experiment_key = outside.experiment_key
),

compared as (
    select
        *,
        n_before >= {{ least_weeks }} and n_after >= {{ least_weeks }} as is_enough,
        mean_after - mean_before as difference,
        sqrt({{ variance_of_mean('variance_before', 'n_before') }} + {{ variance_of_mean('variance_after', 'n_after') }}) as standard_error,
        {{ welch_degrees('variance_before', 'n_before', 'variance_after', 'n_after') }} as degrees
    from joined
),

-- nothing that varies on either side has no interval: the weeks were all alike
bounds as (
    select
        *,
        difference - {{ student_t_975_from_7('degrees') }} * standard_error as difference_lower,
        difference + {{ student_t_975_from_7('degrees') }} * standard_error as difference_upper
    from compared
)

select
    experiment_key,
    experiment,
    sales_process,
    problem,
    metric,
    unit,
    prediction,
    owner,
    starts_on,
    ends_on,
    state,
    first_week_on,
    before_from_week_on,
    before_to_week_on,
    after_from_week_on,
    after_to_week_on,
    cast(n_before as bigint) as n_before,
    cast(n_after as bigint) as n_after,
    case when n_before >= {{ least_weeks }} then mean_before end as mean_before,
    case when n_after >= {{ least_weeks }} then mean_after end as mean_after,
    {%- for side in ['before', 'after'] %}
    case when ranges_{{ side }} >= {{ least_ranges }} and lower_limit_{{ side }} >= 0 then lower_limit_{{ side }} end
        as lower_limit_{{ side }},
    case
        when ranges_{{ side }} >= {{ least_ranges }} and (metric <> 'win_rate' or upper_limit_{{ side }} <= 1)
            then upper_limit_{{ side }}
    end as upper_limit_{{ side }},
    {%- endfor %}
    cast(case when ranges_before >= {{ least_ranges }} then n_outside end as bigint) as n_after_outside_before,
    case when is_enough then difference end as difference,
    case when is_enough then difference_lower end as difference_lower,
    case when is_enough then difference_upper end as difference_upper,
    case when is_enough then degrees end as degrees_of_freedom,
    case
        when not is_enough or difference_lower is null then null
        when difference_lower > 0 then 'up'
        when difference_upper < 0 then 'down'
        else 'no difference shown'
    end as verdict,
    case
        when state = 'planned' then 'not started'
        when n_before < {{ least_weeks }} then 'too few weeks before'
        when n_after < {{ least_weeks }} then 'too few weeks after'
        when n_at_once > 0 then 'not alone'
        when carries_over or is_sparse then 'interval approximate'
        else 'ok'
    end as reads,
    as_of
from bounds

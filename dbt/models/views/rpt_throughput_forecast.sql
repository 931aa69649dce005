{#- Told in the description of the model. -#}
{%- set trials, weeks_ahead, sampled_weeks, least_weeks = 10000, 26, 52, 12 -%}
{%- set shares = {'p05': 0.05, 'p15': 0.15, 'p50': 0.5, 'p85': 0.85, 'p95': 0.95} -%}
with run as (
    select
        as_of,
        minimum_n
    from {{ ref('dim_run') }}
),

-- whole weeks only: the week of as_of is not over
weeks as (
    select distinct dates.week_starts_on
    from {{ ref('dim_date') }} as dates
    cross join run
    where {{ elapsed_days('cast(dates.week_starts_on as timestamp)', 'run.as_of') }} >= 7
),

processes as (
    select
        sales_process,
        min(week_starts_on) as first_week_on
    from {{ ref('fct_pipeline_movements') }}
    group by sales_process
),

wins as (
    select
        sales_process,
        week_starts_on,
        count(*) as won,
        sum(coalesce(amount_corporate, 0)) as won_amount,
        sum(case when amount_corporate is null then 1 else 0 end) as won_without_amount
    from {{ ref('fct_pipeline_movements') }}
    where movement_kind in ('won', 'won_directly')
    group by sales_process, week_starts_on
),

-- a week without a win is a week like any other
weekly as (
    select
        processes.sales_process,
        weeks.week_starts_on,
        coalesce(wins.won, 0) as won,
        coalesce(wins.won_amount, 0) as won_amount,
        coalesce(wins.won_without_amount, 0) as won_without_amount,
        row_number() over (partition by processes.sales_process order by weeks.week_starts_on desc) as week_no
    from processes
    inner join weeks on processes.first_week_on <= weeks.week_starts_on
    left join wins on processes.sales_process = wins.sales_process and weeks.week_starts_on = wins.week_starts_on
),

sampled as (
    select * from weekly
    where week_no <= {{ sampled_weeks }}
),

history as (
    select
        processes.sales_process,
        count(sampled.week_starts_on) as n_weeks,
        coalesce(sum(sampled.won), 0) as n_wins,
        coalesce(sum(sampled.won_without_amount), 0) as n_wins_without_amount,
        min(sampled.week_starts_on) as first_week_on,
        count(sampled.week_starts_on) >= {{ least_weeks }} and coalesce(sum(sampled.won), 0) >= min(run.minimum_n) as is_enough
    from processes
    cross join run
    left join sampled on processes.sales_process = sampled.sales_process
    group by processes.sales_process
),

trials as (
    select number as trial from ({{ number_series(trials) }}) as numbers
),

horizons as (
    select number as weeks_ahead from ({{ number_series(weeks_ahead) }}) as numbers
),

drawn as (
    select
        history.sales_process,
        trials.trial,
        horizons.weeks_ahead,
        1 + cast(floor(history.n_weeks * {{ uniform_draw([
            "'throughput'",
            'history.sales_process',
            'cast(trials.trial as ' ~ dbt.type_string() ~ ')',
            'cast(horizons.weeks_ahead as ' ~ dbt.type_string() ~ ')',
        ]) }}) as bigint) as week_no
    from history
    cross join trials
    cross join horizons
    where history.is_enough
),

-- small types: percentiles over half a million rows take a sixth of the time
totals as (
    select
        drawn.sales_process,
        drawn.weeks_ahead,
        cast(sum(sampled.won) over so_far as integer) as wins,
        cast(sum(sampled.won_amount) over so_far as decimal(18, 2)) as won_amount
    from drawn
    inner join sampled on drawn.sales_process = sampled.sales_process and drawn.week_no = sampled.week_no
    window so_far as (partition by drawn.sales_process, drawn.trial order by drawn.weeks_ahead rows unbounded preceding)
),

simulated as (
    select
        sales_process,
        weeks_ahead,
        {%- for name, share in shares.items() %}
        {{ percentile_that_occurred('wins', share) }} as wins_{{ name }},
        {{ percentile_that_occurred('won_amount', share) }} as won_amount_{{ name }},
        {%- endfor %}
        count(*) as n_trials
    from totals
    group by sales_process, weeks_ahead
)

select
    history.sales_process || ': ' || cast(horizons.weeks_ahead as {{ dbt.type_string() }}) as forecast_key,
    history.sales_process,
    cast(horizons.weeks_ahead as integer) as weeks_ahead,
    cast(history.n_weeks as bigint) as n_weeks,
    history.first_week_on,
    cast(history.n_wins as bigint) as n_wins,
    cast(history.n_wins_without_amount as bigint) as n_wins_without_amount,
    cast(coalesce(simulated.n_trials, 0) as bigint) as n_trials,
    {%- for name in shares %}
    cast(simulated.wins_{{ name }} as bigint) as wins_{{ name }},
    {%- endfor %}
    {%- for name in shares %}
    cast(simulated.won_amount_{{ name }} as decimal(28, 2)) as won_amount_corporate_{{ name }},
    {%- endfor %}
    case when history.is_enough then 'ok' else 'too few' end as reads,
    run.as_of
from history
cross join horizons
cross join run
left join simulated
    on history.sales_process = simulated.sales_process and horizons.weeks_ahead = simulated.weeks_ahead

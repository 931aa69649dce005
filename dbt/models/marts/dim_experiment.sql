with processes as (
    select distinct sales_process
    from {{ ref('stg_control__stage_map') }}
),

placed as (
    select
        experiments.experiment,
        processes.sales_process,
        experiments.problem,
        experiments.metric,
        experiments.prediction,
        experiments.owner,
        experiments.starts_on,
        experiments.ends_on,
        -- the first whole week with the change: its Monday is the day of the start or the next one
        cast(date_trunc('week', {{ dbt.dateadd('day', 6, 'cast(experiments.starts_on as timestamp)') }}) as date) as first_week_on
    from {{ ref('stg_control__experiment') }} as experiments
    inner join processes on processes.sales_process = coalesce(experiments.sales_process, processes.sales_process)
)

select
    experiment || ': ' || sales_process as experiment_key,
    experiment,
    sales_process,
    problem,
    metric,
    prediction,
    owner,
    starts_on,
    ends_on,
    first_week_on
from placed

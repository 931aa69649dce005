{{ config(tags=['measure']) }}
-- scored and not scored sum to the rebuilt pipeline; wins among them never exceed them
with rebuilt as (
    select
        sales_process,
        sum(n_open) as n_open,
        sum(n_won) as n_won
    from {{ ref('fct_pipeline_weeks') }}
    group by sales_process
)

select
    scores.calibration_key,
    rebuilt.n_open
from {{ ref('rpt_forecast_calibration') }} as scores
inner join rebuilt on scores.sales_process = rebuilt.sales_process
where
    scores.fiscal_quarter = 'all'
    and (scores.n_deal_weeks + scores.n_not_scored <> rebuilt.n_open or scores.n_won > rebuilt.n_won)

{{ config(tags=['measure']) }}
-- a deal won within t weeks is won within t + 1; no share leaves 0 to 1
select
    win_curve_key,
    p_won
from (
    select
        *,
        lag(p_won) over (
            partition by basis, week_no, sales_process, stage_name, age_from_days
            order by within_weeks
        ) as p_before
    from {{ ref('fct_win_curves') }}
) as curves
where p_won < p_before or p_won < 0 or p_won > 1 + 1e-12

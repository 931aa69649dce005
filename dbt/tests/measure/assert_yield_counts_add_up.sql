{{ config(tags=['measure']) }}
-- what passed, advanced, returned and was lost lies within what was resolved; yields fall along the process
select
    sales_process,
    stage_name
from {{ ref('rpt_yield') }}
where
    n_first_pass > n_advanced
    or n_returned < 0
    or n_advanced > n_first_pass + n_skipping + n_reentered + n_breached
    or n_reworked > n_entered
    or first_pass_yield > first_pass_yield_on_advance + 1e-12
    or rolled_throughput_yield > rolled_yield_to_here + 1e-12

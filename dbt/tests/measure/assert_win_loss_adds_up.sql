{{ config(tags=['measure']) }}
-- the stages sum to the cohort, the cohorts sum to all
select
    basis,
    sales_process,
    cohort_kind,
    cohort
from {{ ref('rpt_win_loss') }}
group by basis, sales_process, cohort_kind, cohort
having
    sum(case when stage_before = 'all' then n_won else -n_won end) <> 0
    or sum(case when stage_before = 'all' then n_lost else -n_lost end) <> 0
union all
select
    basis,
    sales_process,
    cohort_kind,
    'all' as cohort
from {{ ref('rpt_win_loss') }}
where stage_before = 'all'
group by basis, sales_process, cohort_kind
having
    sum(case when cohort = 'all' then n_won else -n_won end) <> 0
    or sum(case when cohort = 'all' then n_lost else -n_lost end) <> 0
    or sum(case when cohort = 'all' then n_open else -n_open end) <> 0
    or sum(case when cohort = 'all' then n_deleted else -n_deleted end) <> 0

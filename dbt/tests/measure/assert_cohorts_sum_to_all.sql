{{ config(tags=['measure']) }}
-- the quarters of first entry sum to the row 'all'
select
    basis,
    sales_process,
    stage_name,
    exit_kind
from {{ ref('rpt_stage_conversion') }}
group by basis, sales_process, stage_name, exit_kind
having
    sum(case when cohort = 'all' then n_entered else -n_entered end) <> 0
    or sum(case when cohort = 'all' then n_exits else -n_exits end) <> 0

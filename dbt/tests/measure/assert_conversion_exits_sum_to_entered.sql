{{ config(tags=['measure']) }}
-- entered = exits of every kind + open + deleted; onward repeats two kinds
select
    basis,
    sales_process,
    cohort,
    stage_name
from {{ ref('rpt_stage_conversion') }}
where exit_kind <> 'onward'
group by basis, sales_process, cohort, stage_name
having max(n_entered) <> sum(n_exits_ever) + max(n_open) + max(n_deleted)

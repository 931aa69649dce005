{{ config(tags=['measure']) }}
-- S + sum F = 1 at the window's end
select
    basis,
    sales_process,
    cohort,
    stage_name
from {{ ref('rpt_stage_conversion') }}
where exit_kind <> 'onward' and still_there_share is not null
group by basis, sales_process, cohort, stage_name
having abs(max(still_there_share) + sum(incidence_within_days) - 1) > 1e-9

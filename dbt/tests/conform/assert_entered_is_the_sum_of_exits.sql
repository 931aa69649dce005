-- What enters a stage is what starts there or what an exit sent there: a visit can neither appear nor vanish in between.
{{ config(tags=['conform']) }}

with visits as (
    select * from {{ ref('int_stage_visits') }}
    where {{ is_marked('opportunity_id') }}
),

entered as (
    select
        sales_process,
        stage_name,
        count(*) as entries,
        sum(case when visit_seq = 1 then 1 else 0 end) as starts
    from visits
    group by sales_process, stage_name
),

sent as (
    select
        sales_process,
        next_stage_name as stage_name,
        count(*) as arrivals
    from visits
    where exit_kind in ('advanced', 'back', 'lateral', 'won', 'lost', 'reopened')
    group by sales_process, next_stage_name
)

select
    coalesce(entered.sales_process, sent.sales_process) as sales_process,
    coalesce(entered.stage_name, sent.stage_name) as stage_name,
    entered.entries,
    entered.starts,
    sent.arrivals
from entered
full outer join sent on entered.sales_process = sent.sales_process and entered.stage_name = sent.stage_name
where entered.entries is distinct from entered.starts + coalesce(sent.arrivals, 0)

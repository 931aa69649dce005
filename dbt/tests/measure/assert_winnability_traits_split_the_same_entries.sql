{{ config(tags=['measure']) }}
-- each trait splits the same deals: a join that multiplied them would show here
select
    basis,
    sales_process,
    stage_name
from (
    select
        basis,
        sales_process,
        stage_name,
        trait,
        sum(n_entered) as n_entered,
        sum(n_won + n_lost + n_open + n_unknown) as n_outcomes
    from {{ ref('rpt_winnability') }}
    group by basis, sales_process, stage_name, trait
) as traits
group by basis, sales_process, stage_name
having min(n_entered) <> max(n_entered) or min(n_outcomes) <> max(n_entered) or max(n_outcomes) <> max(n_entered)

with won as (
    select
        basis,
        opportunity_id,
        visit_seq,
        sales_process,
        cycle_no,
        entered_at
    from {{ ref('fct_stage_visits') }}
    where is_won_stage and not is_tie
),

-- a deal opens with its first visit, or with the visit that reopens it
opened as (
    select
        won.basis,
        won.opportunity_id,
        won.visit_seq,
        min(visits.entered_at) as opened_at
    from {{ ref('fct_stage_visits') }} as visits
    inner join won
        on
            visits.opportunity_id = won.opportunity_id
            and visits.basis = won.basis
            and visits.cycle_no = won.cycle_no
    group by won.basis, won.opportunity_id, won.visit_seq
),

-- a win that was deleted later was a win then: that it would go, no week knew
wins as (
    select
        won.basis,
        won.sales_process,
        coalesce(owners.team_id, 'no team') as team_id,
        cast(ceil({{ week_number('opened.opened_at') }}) as integer) as opened_week_no,
        cast(ceil({{ week_number('won.entered_at') }}) as integer) as won_week_no,
        deals.amount_corporate
    from won
    inner join opened on won.basis = opened.basis and won.opportunity_id = opened.opportunity_id and won.visit_seq = opened.visit_seq
    inner join {{ ref('fct_opportunities') }} as deals on won.opportunity_id = deals.opportunity_id
    left join {{ ref('dim_owner') }} as owners on deals.owner_id = owners.owner_id
)

select
    basis || ': ' || sales_process || ': ' || team_id || ': ' || cast(opened_week_no as {{ dbt.type_string() }}) || ': '
    || cast(won_week_no as {{ dbt.type_string() }}) as new_wins_key,
    basis,
    sales_process,
    team_id,
    opened_week_no,
    won_week_no,
    cast(count(*) as bigint) as n_won,
    cast(sum(case when amount_corporate is null then 1 else 0 end) as bigint) as n_without_amount,
    cast(coalesce(sum(amount_corporate), 0) as decimal(38, 2)) as money
from wins
group by basis, sales_process, team_id, opened_week_no, won_week_no

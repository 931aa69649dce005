{{ config(tags=['measure']) }}
-- every won deal has one row to count in or a cause to be left out; the years sum to all
with told as (
    select
        sum(case when cohort = 'all' then n_wins else 0 end) as n_all,
        sum(case when cohort <> 'all' then n_wins else 0 end) as n_years,
        max(n_without_account + n_undated) as n_left_out
    from {{ ref('rpt_repurchase') }}
),

won as (
    select count(*) as n_won
    from {{ ref('fct_opportunities') }}
    where is_won and not is_deleted
)

select
    told.n_all,
    told.n_years,
    won.n_won,
    told.n_left_out
from told
cross join won
where told.n_all <> told.n_years or told.n_all + told.n_left_out <> won.n_won

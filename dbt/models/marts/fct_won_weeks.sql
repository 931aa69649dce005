with run as (
    select minimum_n
    from {{ ref('stg_control__run') }}
),

wins as (
    select
        visits.sales_process,
        visits.entered_at,
        visits.exited_at,
        cast(ceil({{ week_number('visits.entered_at') }}) as integer) as won_week,
        deals.amount_corporate
    from {{ ref('fct_stage_visits') }} as visits
    inner join {{ ref('fct_opportunities') }} as deals
        on visits.opportunity_id = deals.opportunity_id
    where visits.basis = 'reported' and visits.is_won_stage and not visits.is_tie
),

weeks as (
    select *
    from {{ ref('dim_forecast_week') }}
    where fiscal_quarter is not null
),

processes as (
    select distinct sales_process
    from {{ ref('fct_stage_visits') }}
    where basis = 'reported'
),

-- won in the quarter and still so at its end, by week of the win
in_quarter as (
    select
        wins.sales_process,
        quarters.fiscal_quarter,
        wins.won_week,
        count(*) as n_won,
        sum(case when wins.amount_corporate is null then 1 else 0 end) as n_without_amount,
        sum(wins.amount_corporate) as money
    from wins
    inner join {{ ref('dim_fiscal_quarter') }} as quarters
        on
            quarters.is_complete
            and wins.entered_at >= cast(quarters.starts_on as timestamp)
            and wins.entered_at < cast(quarters.ends_before as timestamp)
            and coalesce(wins.exited_at, {{ end_of_time() }}) >= cast(quarters.ends_before as timestamp)
    group by wins.sales_process, quarters.fiscal_quarter, wins.won_week
),

ahead as (
    select
        weeks.week_no,
        in_quarter.sales_process,
        sum(in_quarter.n_won) as n_won,
        sum(in_quarter.n_without_amount) as n_without_amount,
        sum(in_quarter.money) as money
    from weeks
    inner join in_quarter
        on weeks.fiscal_quarter = in_quarter.fiscal_quarter and weeks.week_no < in_quarter.won_week
    group by weeks.week_no, in_quarter.sales_process
),

by_week as (
    select
        sales_process,
        won_week,
        count(amount_corporate) as n_with_amount,
        sum(amount_corporate) as money
    from wins
    group by sales_process, won_week
),

-- what an amount that is not stated yet usually comes to, as known at the week
so_far as (
    select
        weeks.week_no,
        by_week.sales_process,
        sum(by_week.n_with_amount) as n_with_amount,
        sum(by_week.money) as money
    from weeks
    inner join by_week on weeks.week_no >= by_week.won_week
    group by weeks.week_no, by_week.sales_process
)

select
    cast(weeks.week_no as {{ dbt.type_string() }}) || ': ' || processes.sales_process as won_week_key,
    weeks.week_no,
    weeks.week_starts_on,
    weeks.fiscal_quarter,
    processes.sales_process,
    cast(coalesce(ahead.n_won, 0) as bigint) as n_won_later,
    cast(coalesce(ahead.n_without_amount, 0) as bigint) as n_won_later_without_amount,
    cast(coalesce(ahead.money, 0) as decimal(38, 2)) as won_later_money,
    cast(case when so_far.n_with_amount >= run.minimum_n then so_far.money / so_far.n_with_amount end as double) as mean_won_amount
from weeks
cross join processes
cross join run
left join ahead on weeks.week_no = ahead.week_no and processes.sales_process = ahead.sales_process
left join so_far on weeks.week_no = so_far.week_no and processes.sales_process = so_far.sales_process

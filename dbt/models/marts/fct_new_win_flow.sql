with weeks as (
    select
        min(week_no) as first_week_no,
        max(week_no) as latest_week_no
    from {{ ref('dim_forecast_week') }}
),

wins as (
    select
        sales_process,
        opened_week_no as opened_week,
        won_week_no as won_week,
        sum(n_won) as n_won,
        sum(n_without_amount) as n_without_amount,
        sum(money) as money
    from {{ ref('fct_new_wins') }}
    where basis = 'reported'
    group by sales_process, opened_week_no, won_week_no
),

-- windows from before the process has a past would hold nothing, and teach nothing; 66 weeks lie before the first scored week:
-- a year of windows and the longest quarter
processes as (
    select
        visits.sales_process,
        greatest(
            cast(ceil(min({{ week_number('visits.entered_at') }})) as integer),
            min(weeks.first_week_no) - 66
        ) as first_week_no,
        min(weeks.latest_week_no) as latest_week_no
    from {{ ref('fct_stage_visits') }} as visits
    cross join weeks
    where visits.basis = 'reported'
    group by visits.sales_process
),

starts as (
    select
        sales_process,
        latest_week_no,
        {{ numbers_between('first_week_no', 'latest_week_no') }} as start_week_no
    from processes
),

steps as (
    select {{ numbers_between(0, 53) }} as within_weeks
),

-- not open at the start: opened later than its Monday
moved as (
    select
        starts.sales_process,
        starts.start_week_no,
        wins.won_week - starts.start_week_no as within_weeks,
        sum(wins.n_won) as n_won,
        sum(wins.n_without_amount) as n_without_amount,
        sum(wins.money) as money
    from starts
    inner join wins
        on
            starts.sales_process = wins.sales_process
            and starts.start_week_no < wins.opened_week
            and wins.won_week - starts.start_week_no <= 53
    group by starts.sales_process, starts.start_week_no, wins.won_week - starts.start_week_no
)

select
    starts.sales_process || ': ' || cast(starts.start_week_no as {{ dbt.type_string() }}) || ': '
    || cast(steps.within_weeks as {{ dbt.type_string() }}) as new_win_flow_key,
    starts.sales_process,
    starts.start_week_no,
    steps.within_weeks,
    cast(sum(coalesce(moved.n_won, 0)) over so_far as bigint) as n_won,
    cast(sum(coalesce(moved.n_without_amount, 0)) over so_far as bigint) as n_without_amount,
    cast(sum(coalesce(moved.money, 0)) over so_far as decimal(38, 2)) as money
from starts
inner join steps on starts.latest_week_no - starts.start_week_no >= steps.within_weeks
left join moved
    on
        starts.sales_process = moved.sales_process
        and starts.start_week_no = moved.start_week_no
        and steps.within_weeks = moved.within_weeks
window
    so_far as (
        partition by starts.sales_process, starts.start_week_no
        order by steps.within_weeks
        rows unbounded preceding
    )

with levels as (
    select
        fiscal_quarter,
        sales_process,
        source,
        level,
        case level when 'company' then 1 when 'team' then 2 else 3 end as level_no,
        sum(amount_corporate) as amount_corporate,
        sum(wins) as wins,
        count(*) as n_targets
    from {{ ref('fct_targets') }}
    group by fiscal_quarter, sales_process, source, level
),

-- the company's own, else the sum of its teams, else the sum of its owners
ranked as (
    select
        *,
        row_number() over (partition by fiscal_quarter, sales_process order by level_no) as place
    from levels
),

stated as (
    select * from ranked
    where place = 1
),

processes as (
    select
        sales_process,
        count(*) over () as n_processes
    from {{ ref('fct_new_win_flow') }}
    group by sales_process
),

-- all together where nothing is said of it: the sum, if every process has one
summed as (
    select
        stated.fiscal_quarter,
        'all processes' as sales_process,
        min(stated.source) as source,
        'processes' as level,
        case when count(stated.amount_corporate) = min(processes.n_processes) then sum(stated.amount_corporate) end as amount_corporate,
        case when count(stated.wins) = min(processes.n_processes) then sum(stated.wins) end as wins,
        sum(stated.n_targets) as n_targets
    from stated
    inner join processes on stated.sales_process = processes.sales_process
    left join stated as whole on stated.fiscal_quarter = whole.fiscal_quarter and whole.sales_process = 'all processes'
    where whole.sales_process is null
    group by stated.fiscal_quarter
),

together as (
    select
        fiscal_quarter,
        sales_process,
        source,
        level,
        amount_corporate,
        wins,
        n_targets
    from stated
    union all
    select
        fiscal_quarter,
        sales_process,
        source,
        level,
        amount_corporate,
        wins,
        n_targets
    from summed
)

select
    fiscal_quarter || ': ' || sales_process as quarter_target_key,
    fiscal_quarter,
    sales_process,
    source,
    level,
    cast(amount_corporate as double) as target_money,
    cast(wins as double) as target_wins,
    cast(n_targets as bigint) as n_targets
from together
where amount_corporate is not null or wins is not null

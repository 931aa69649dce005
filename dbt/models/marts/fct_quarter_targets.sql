with teams as (
    select
        team_id,
        min(team_name) as team_name
    from {{ ref('dim_owner') }}
    where team_id is not null
    group by team_id
),

-- a target names its team or owner by Id or by name; a name that two share names neither
named as (
    {%- for level, table, key, name in (('team', 'teams', 'team_id', 'team_name'), ('owner', ref('dim_owner'), 'owner_id', 'owner_name')) %}
    {%- for column in (key, name) %}
    select
        '{{ level }}' as level,
        {{ column }} as called,
        min(coalesce(team_id, 'no team')) as team_id
    from {{ table }}
    where {{ column }} is not null
    group by {{ column }}
    having count(*) = 1
    {{ 'union' if not (level == 'owner' and loop.last) }}
    {%- endfor %}
    {%- endfor %}
),

targets as (
    select
        targets.*,
        named.team_id
    from {{ ref('fct_targets') }} as targets
    left join named on targets.level = named.level and coalesce(targets.team, targets.owner) = named.called
),

levels as (
    select
        fiscal_quarter,
        sales_process,
        'all teams' as team_id,
        source,
        level,
        case level when 'company' then 1 when 'team' then 2 else 3 end as level_no,
        sum(amount_corporate) as amount_corporate,
        sum(wins) as wins,
        count(*) as n_targets
    from targets
    group by fiscal_quarter, sales_process, source, level
    union all
    select
        fiscal_quarter,
        sales_process,
        team_id,
        source,
        level,
        case level when 'team' then 2 else 3 end as level_no,
        sum(amount_corporate) as amount_corporate,
        sum(wins) as wins,
        count(*) as n_targets
    from targets
    where team_id is not null
    group by fiscal_quarter, sales_process, team_id, source, level
),

-- the company's own, else the sum of its teams, else the sum of its owners; a team's own, else the sum of its owners
ranked as (
    select
        *,
        row_number() over (partition by fiscal_quarter, sales_process, team_id order by level_no) as place
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
        stated.team_id,
        min(stated.source) as source,
        'processes' as level,
        case when count(stated.amount_corporate) = min(processes.n_processes) then sum(stated.amount_corporate) end as amount_corporate,
        case when count(stated.wins) = min(processes.n_processes) then sum(stated.wins) end as wins,
        sum(stated.n_targets) as n_targets
    from stated
    inner join processes on stated.sales_process = processes.sales_process
    left join stated as whole
        on
            stated.fiscal_quarter = whole.fiscal_quarter
            and stated.team_id = whole.team_id
            and whole.sales_process = 'all processes'
    where whole.sales_process is null
    group by stated.fiscal_quarter, stated.team_id
),

together as (
    select
        fiscal_quarter,
        sales_process,
        team_id,
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
        team_id,
        source,
        level,
        amount_corporate,
        wins,
        n_targets
    from summed
)

select
    fiscal_quarter || ': ' || sales_process || ': ' || team_id as quarter_target_key,
    fiscal_quarter,
    sales_process,
    team_id,
    source,
    level,
    cast(amount_corporate as double) as target_money,
    cast(wins as double) as target_wins,
    cast(n_targets as bigint) as n_targets
from together
where amount_corporate is not null or wins is not null

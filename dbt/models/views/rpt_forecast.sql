{#- What is added up from teams to the company, with its type: whole cents and decimals, so that any sum of rows is exact. -#}
{%- set money = 'decimal(38, 2)' -%}
{%- set counts = ['n_won', 'n_won_without_amount', 'n_open', 'n_by_process', 'n_imputed', 'n_without_money'] -%}
{%- set sums = ['won_money', 'commit_money', 'best_case_money', 'weighted_money'] -%}
with run as (
    select
        as_of,
        {{ week_number('as_of') }} as as_of_week,
        minimum_n
    from {{ ref('dim_run') }}
),

quarters as (
    select * from {{ ref('dim_fiscal_quarter') }}
    where quarter_offset >= 0
),

trials as (
    select
        basis,
        sales_process,
        team_id,
        quarter_offset,
        trial_no,
        open_money + new_money as money
    from {{ ref('fct_forecast_trials') }}
),

-- as defined a win counts from the moment on that it is evidenced
wins as (
    select
        'reported' as basis,
        opportunity_id,
        closed_at as won_at
    from {{ ref('fct_opportunities') }}
    where is_won
    union all
    select
        basis,
        opportunity_id,
        entered_at as won_at
    from {{ ref('fct_stage_visits') }}
    where basis = 'defined' and is_won_stage and exit_kind = 'open'
),

won as (
    select
        wins.basis,
        deals.sales_process,
        coalesce(owners.team_id, 'no team') as team_id,
        count(*) as n_won,
        sum(case when deals.amount_corporate is null then 1 else 0 end) as n_without_amount,
        sum(deals.amount_corporate) as money
    from wins
    inner join quarters
        on
            quarters.is_current
            and wins.won_at >= cast(quarters.starts_on as timestamp)
            and wins.won_at < cast(quarters.ends_before as timestamp)
    inner join {{ ref('fct_opportunities') }} as deals on wins.opportunity_id = deals.opportunity_id
    left join {{ ref('dim_owner') }} as owners on deals.owner_id = owners.owner_id
    where not deals.is_deleted
    group by wins.basis, deals.sales_process, coalesce(owners.team_id, 'no team')
),

open_deals as (
    select
        basis,
        sales_process,
        team_id,
        quarter_offset,
        count(*) as n_open,
        sum(case when p_won_by_end is null then 1 else 0 end) as n_unknown,
        sum(case when p_won_from = 'process' then 1 else 0 end) as n_by_process,
        sum(case when is_money_imputed then 1 else 0 end) as n_imputed,
        sum(case when money is null then 1 else 0 end) as n_without_money,
        sum(cast(p_won_in_quarter as decimal(28, 6))) as wins,
        sum(cast(p_won_in_quarter * cast(money as double) as decimal(28, 2))) as money,
        sum(case when is_money_imputed then cast(p_won_in_quarter * cast(money as double) as decimal(28, 2)) end) as imputed_money,
        sum(case when is_due and forecast_category = 'commit' then amount_corporate end) as commit_money,
        sum(case when is_due and forecast_category in ('commit', 'most likely', 'best case') then amount_corporate end) as best_case_money,
        sum(case when is_due then cast(crm_probability * cast(amount_corporate as double) as decimal(28, 2)) end) as weighted_money
    from {{ ref('fct_deal_forecasts') }}
    group by basis, sales_process, team_id, quarter_offset
),

-- of past weeks there is enough where every quarter finds its windows
horizons as (
    select
        quarters.quarter_offset,
        weeks.week_no as known_week,
        greatest({{ week_number('cast(quarters.starts_on as timestamp)') }} - run.as_of_week, 0) as weeks_from,
        {{ week_number('cast(quarters.ends_before as timestamp)') }} - run.as_of_week as weeks_to
    from quarters
    inner join {{ ref('dim_forecast_week') }} as weeks on weeks.is_latest
    cross join run
),

windows as (
    select
        flow.sales_process,
        horizons.quarter_offset,
        min(flow.start_week_no) as first_week_no,
        max(flow.start_week_no) as last_week_no,
        count(*) as n_windows
    from {{ ref('fct_new_win_flow') }} as flow
    inner join horizons
        on
            horizons.known_week - ceil(horizons.weeks_to) >= flow.start_week_no
            and horizons.known_week - ceil(horizons.weeks_to) - 52 < flow.start_week_no
    where flow.within_weeks = 0
    group by flow.sales_process, horizons.quarter_offset
),

-- a window of so many weeks, less the one that ends where the quarter begins; between whole weeks on the straight line
edges as (
    {%- for column, sign in (('weeks_to', 1), ('weeks_from', -1)) %}
    {%- for step in (0, 1) %}
    select
        quarter_offset,
        cast(floor({{ column }}) as integer) + {{ step }} as within_weeks,
        {{ sign }} * {{ '(' ~ column ~ ' - floor(' ~ column ~ '))' if step else '(1 + floor(' ~ column ~ ') - ' ~ column ~ ')' }} as weight
    from horizons
    {{ 'union all' if not (loop.last and column == 'weeks_from') }}
    {%- endfor %}
    {%- endfor %}
),

-- a win lies in as many windows as begin before its deal opened and end after it was won: the mean needs no window spelled out
new_wins as (
    select
        wins.basis,
        wins.sales_process,
        wins.team_id,
        windows.quarter_offset,
        cast({{ exact_sum(
            'edges.weight * wins.n_won * (least(windows.last_week_no, wins.opened_week_no - 1)'
            ~ ' - greatest(windows.first_week_no, wins.won_week_no - edges.within_weeks) + 1)'
        ) }} / min(windows.n_windows) as decimal(28, 6)) as wins,
        cast({{ exact_sum(
            'edges.weight * cast(wins.money as double) * (least(windows.last_week_no, wins.opened_week_no - 1)'
            ~ ' - greatest(windows.first_week_no, wins.won_week_no - edges.within_weeks) + 1)'
        ) }} / min(windows.n_windows) as decimal(28, 2)) as money
    from {{ ref('fct_new_wins') }} as wins
    inner join windows on wins.sales_process = windows.sales_process
    inner join edges
        on
            windows.quarter_offset = edges.quarter_offset
            and least(windows.last_week_no, wins.opened_week_no - 1)
            >= greatest(windows.first_week_no, wins.won_week_no - edges.within_weeks)
    group by wins.basis, wins.sales_process, wins.team_id, windows.quarter_offset
),

team_starts as (
    select
        deals.sales_process,
        coalesce(owners.team_id, 'no team') as team_id,
        cast(ceil({{ week_number('min(deals.created_at)') }}) as integer) as first_week_no
    from {{ ref('fct_opportunities') }} as deals
    left join {{ ref('dim_owner') }} as owners on deals.owner_id = owners.owner_id
    group by deals.sales_process, coalesce(owners.team_id, 'no team')
),

-- each team of a process, and the process itself (NULL), which may have none
cells as (
    select distinct
        basis,
        sales_process,
        team_id
    from trials
    union
    select
        basis,
        sales_process,
        team_id
    from won
    {%- for basis in ['reported', 'defined'] %}
    union
    select distinct
        '{{ basis }}' as basis,
        sales_process,
        cast(null as {{ dbt.type_string() }}) as team_id
    from {{ ref('fct_new_win_flow') }}
    {%- endfor %}
),

counted as (
    select
        cells.basis,
        cells.sales_process,
        cells.team_id,
        quarters.quarter_offset,
        case when quarters.is_current then coalesce(won.n_won, 0) else 0 end as n_won,
        case when quarters.is_current then coalesce(won.n_without_amount, 0) else 0 end as n_won_without_amount,
        case when quarters.is_current then coalesce(won.money, 0) else 0 end as won_money,
        coalesce(open_deals.n_open, 0) as n_open,
        coalesce(open_deals.n_by_process, 0) as n_by_process,
        coalesce(open_deals.n_imputed, 0) as n_imputed,
        coalesce(open_deals.n_without_money, 0) as n_without_money,
        coalesce(open_deals.wins, 0) as open_wins,
        coalesce(open_deals.money, 0) as open_money,
        coalesce(open_deals.imputed_money, 0) as imputed_money,
        coalesce(new_wins.wins, 0) as new_wins,
        coalesce(new_wins.money, 0) as new_money,
        coalesce(open_deals.commit_money, 0) as commit_money,
        coalesce(open_deals.best_case_money, 0) as best_case_money,
        coalesce(open_deals.weighted_money, 0) as weighted_money,
        coalesce(windows.n_windows, 0) as n_windows,
        -- of a young team only the windows since it has deals say something
        greatest(
            least(coalesce(windows.n_windows, 0), coalesce(windows.last_week_no - team_starts.first_week_no + 1, 0)), 0
        ) as n_team_windows,
        -- whether it can be told is a matter of the process: its curves and its windows serve every team
        sum(coalesce(open_deals.n_unknown, 0)) over (partition by cells.basis, cells.sales_process, quarters.quarter_offset) = 0
            as is_open_told,
        coalesce(windows.n_windows, 0) >= {{ fewest_windows() }} as is_new_told
    from cells
    cross join quarters
    left join won
        on
            quarters.is_current
            and cells.basis = won.basis
            and cells.sales_process = won.sales_process
            and cells.team_id = won.team_id
    left join open_deals
        on
            cells.basis = open_deals.basis
            and cells.sales_process = open_deals.sales_process
            and cells.team_id = open_deals.team_id
            and quarters.quarter_offset = open_deals.quarter_offset
    left join new_wins
        on
            cells.basis = new_wins.basis
            and cells.sales_process = new_wins.sales_process
            and cells.team_id = new_wins.team_id
            and quarters.quarter_offset = new_wins.quarter_offset
    left join windows on cells.sales_process = windows.sales_process and quarters.quarter_offset = windows.quarter_offset
    left join team_starts on cells.sales_process = team_starts.sales_process and cells.team_id = team_starts.team_id
),

levelled as (
    {%- for by_process in (true, false) %}
    {%- for by_team in (true, false) %}
    {%- set told = {
        'open': 'is_open_told' if by_process else 'is_open_told and is_new_told',
        'new': 'is_new_told' if by_process else 'is_open_told and is_new_told',
    } %}
    select
        basis,
        quarter_offset,
        {{ 'sales_process' if by_process else "'all processes' as sales_process" }},
        {{ 'team_id' if by_team else "'all teams' as team_id" }},
        {%- for column in counts + sums %}
        sum({{ column }}) as {{ column }},
        {%- endfor %}
        {%- for column in ['open_wins', 'open_money', 'imputed_money'] %}
        sum(case when {{ told.open }} then {{ column }} end) as {{ column }},
        {%- endfor %}
        {%- for column in ['new_wins', 'new_money'] %}
        sum(case when {{ told.new }} then {{ column }} end) as {{ column }},
        {%- endfor %}
        max({{ 'n_team_windows' if by_team else 'n_windows' }}) as n_windows,
        {{ names_in_order('case when not (is_open_told and is_new_told) then sales_process end') if not by_process
            else 'cast(null as ' ~ dbt.type_string() ~ ')' }} as left_out
    from counted
    {{ 'where team_id is not null' if by_team }}
    group by basis, quarter_offset{{ ', sales_process' if by_process }}{{ ', team_id' if by_team }}
    {{ 'union all' if by_process or by_team }}
    {%- endfor %}
    {%- endfor %}
),

known as (
    select distinct
        basis,
        sales_process,
        quarter_offset
    from counted
    where is_open_told and is_new_told
),

-- one draw serves a deal in every row that it is in: the trials of teams and processes add up
known_trials as (
    select
        trials.basis,
        trials.sales_process,
        trials.team_id,
        trials.quarter_offset,
        trials.trial_no,
        trials.money
    from trials
    inner join known
        on
            trials.basis = known.basis
            and trials.sales_process = known.sales_process
            and trials.quarter_offset = known.quarter_offset
),

totals as (
    {%- for by_process in (true, false) %}
    {%- for by_team in (true, false) %}
    select
        basis,
        {{ 'sales_process' if by_process else "'all processes' as sales_process" }},
        {{ 'team_id' if by_team else "'all teams' as team_id" }},
        quarter_offset,
        trial_no,
        sum(money) as money
    from known_trials
    group by basis, quarter_offset, trial_no{{ ', sales_process' if by_process }}{{ ', team_id' if by_team }}
    {{ 'union all' if by_process or by_team }}
    {%- endfor %}
    {%- endfor %}
),

ranges as (
    select
        basis,
        sales_process,
        team_id,
        quarter_offset,
        {{ percentile('cast(money as double)', 0.025) }} as lower_money,
        {{ percentile('cast(money as double)', 0.975) }} as upper_money
    from totals
    group by basis, sales_process, team_id, quarter_offset
),

teams as (
    select
        team_id,
        min(team_name) as team_name
    from {{ ref('dim_owner') }}
    where team_id is not null
    group by team_id
),

target_sources as (
    select
        count(*) as n_targets,
        count(case when source = 'quotas' then 1 end) as n_quotas
    from {{ ref('fct_quarter_targets') }}
),

joined as (
    select
        quarters.fiscal_quarter,
        quarters.starts_on,
        quarters.ends_before,
        levelled.*,
        case when levelled.team_id in ('all teams', 'no team') then levelled.team_id else coalesce(teams.team_name, levelled.team_id) end
            as team_name,
        -- a team whose past is too short has its part in the process's flow, and no forecast of its own
        case
            when levelled.n_windows >= {{ fewest_windows() }} then levelled.won_money + levelled.open_money + levelled.new_money
        end as forecast_money,
        ranges.lower_money,
        ranges.upper_money
    from levelled
    inner join quarters on levelled.quarter_offset = quarters.quarter_offset
    left join teams on levelled.team_id = teams.team_id
    left join ranges
        on
            levelled.basis = ranges.basis
            and levelled.sales_process = ranges.sales_process
            and levelled.team_id = ranges.team_id
            and levelled.quarter_offset = ranges.quarter_offset
)

select
    joined.basis || ': ' || joined.fiscal_quarter || ': ' || joined.sales_process || ': ' || joined.team_id as forecast_key,
    joined.basis,
    joined.fiscal_quarter,
    cast(joined.quarter_offset as integer) as quarter_offset,
    joined.starts_on,
    joined.ends_before,
    joined.sales_process,
    joined.team_id,
    joined.team_name,
    cast(joined.n_won as bigint) as n_won,
    cast(joined.n_won_without_amount as bigint) as n_won_without_amount,
    cast(joined.won_money as {{ money }}) as won_money,
    cast(joined.n_open as bigint) as n_open,
    cast(joined.n_by_process as bigint) as n_open_by_process,
    cast(joined.n_imputed as bigint) as n_open_imputed,
    cast(joined.n_without_money as bigint) as n_open_without_money,
    cast(joined.open_wins as decimal(38, 6)) as open_wins,
    cast(joined.open_money as {{ money }}) as open_money,
    cast(joined.imputed_money as {{ money }}) as imputed_money,
    cast(joined.n_windows as bigint) as n_windows,
    cast(joined.new_wins as decimal(38, 6)) as new_wins,
    cast(joined.new_money as {{ money }}) as new_money,
    cast(joined.forecast_money as {{ money }}) as forecast_money,
    case when joined.forecast_money is not null then cast(joined.won_money as double) + joined.lower_money end as forecast_lower,
    case when joined.forecast_money is not null then cast(joined.won_money as double) + joined.upper_money end as forecast_upper,
    cast(joined.won_money + joined.commit_money as {{ money }}) as crm_commit_money,
    cast(joined.won_money + joined.best_case_money as {{ money }}) as crm_best_case_money,
    cast(joined.won_money + joined.weighted_money as {{ money }}) as crm_weighted_money,
    targets.target_money,
    targets.target_money - cast(joined.forecast_money as double) as gap_money,
    case
        when target_sources.n_targets = 0 then 'no targets are loaded'
        when target_sources.n_quotas > 0 and targets.target_money is null and joined.sales_process <> 'all processes'
            then 'quotas are not by process: targets.csv can be'
        when targets.target_money is null and joined.team_id <> 'all teams' then 'no target in money of this team or its owners'
        when targets.target_money is null then 'no target in money is set'
        when joined.forecast_money is null then 'no forecast'
    end as target_cause,
    case
        when joined.sales_process = 'all processes' and joined.open_money is null then 'too few past deals or weeks in every process'
        when joined.open_money is null then 'too few past deals'
        when joined.new_money is null or joined.n_windows < {{ fewest_windows() }} then 'too few past weeks'
        when joined.left_out is not null then 'without ' || joined.left_out
        when joined.n_without_money > 0 then 'some amounts unknown'
        else 'ok'
    end as reads,
    run.as_of
from joined
cross join run
cross join target_sources
left join {{ ref('fct_quarter_targets') }} as targets
    on
        joined.sales_process = targets.sales_process
        and joined.team_id = targets.team_id
        and joined.fiscal_quarter = targets.fiscal_quarter

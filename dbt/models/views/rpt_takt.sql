{#- Told in the description of the model. -#}
{%- set pace_days, worth_days = 91, 364 -%}
with run as (
    select
        as_of,
        as_of_on,
        minimum_n
    from {{ ref('dim_run') }}
),

quarters as (
    select
        quarters.fiscal_quarter,
        quarters.quarter_offset,
        quarters.starts_on,
        quarters.ends_before,
        quarters.is_current,
        count(case when days.is_working then 1 end) as working_days,
        count(case when days.is_working and days.date_on >= run.as_of_on then 1 end) as working_days_left
    from {{ ref('dim_fiscal_quarter') }} as quarters
    cross join run
    inner join {{ ref('dim_working_day') }} as days on quarters.starts_on <= days.date_on and quarters.ends_before > days.date_on
    where quarters.quarter_offset >= 0
    group by quarters.fiscal_quarter, quarters.quarter_offset, quarters.starts_on, quarters.ends_before, quarters.is_current
),

past as (
    select count(*) as working_days
    from {{ ref('dim_working_day') }} as days
    cross join run
    where
        days.is_working
        and days.date_on < run.as_of_on
        and days.date_on >= {{ dbt.dateadd('day', -pace_days, 'run.as_of_on') }}
),

deals as (
    select
        deals.opportunity_id,
        deals.sales_process,
        coalesce(owners.team_id, 'no team') as team_id,
        deals.is_open,
        deals.is_won,
        deals.is_lost,
        deals.closed_at,
        deals.amount_corporate,
        run.as_of
    from {{ ref('fct_opportunities') }} as deals
    cross join run
    left join {{ ref('dim_owner') }} as owners on deals.owner_id = owners.owner_id
    where not deals.is_deleted
),

-- each win under its process and under all of them, its team and all of them
wins as (
    {%- for process in ['deals.sales_process', "'all processes'"] %}
    {%- for team in ['deals.team_id', "'all teams'"] %}
    select
        {{ process }} as sales_process,
        {{ team }} as team_id,
        deals.closed_at,
        deals.amount_corporate,
        {{ elapsed_days('deals.closed_at', 'deals.as_of') }} as days_ago
    from deals
    where deals.is_won
    {{ 'union all' if not (team == "'all teams'" and loop.last and process == "'all processes'") }}
    {%- endfor %}
    {%- endfor %}
),

-- what a win is worth, as P(win), is the process's: a team has too few wins of its own
worth as (
    select
        sales_process,
        count(amount_corporate) as n_amounts,
        cast(sum(amount_corporate) as double) / nullif(count(amount_corporate), 0) as mean_amount
    from wins
    where days_ago <= {{ worth_days }} and team_id = 'all teams'
    group by sales_process
),

won_so_far as (
    select
        wins.sales_process,
        wins.team_id,
        count(*) as n_won
    from wins
    inner join quarters
        on
            quarters.is_current
            and cast(quarters.starts_on as timestamp) <= wins.closed_at
            and cast(quarters.ends_before as timestamp) > wins.closed_at
    group by wins.sales_process, wins.team_id
),

-- of the deals that entered a stage and have ended, the share won
entries as (
    select
        visits.sales_process,
        deals.team_id,
        visits.stage_name,
        visits.stage_order,
        visits.entered_at,
        deals.is_won,
        coalesce(deals.is_won or deals.is_lost, false) as is_resolved,
        {{ elapsed_days('visits.entered_at', 'deals.as_of') }} as days_ago
    from {{ ref('fct_stage_visits') }} as visits
    inner join deals on visits.opportunity_id = deals.opportunity_id
    where visits.basis = 'reported' and visits.is_first_entry and visits.is_mapped and not visits.is_closed_stage
),

places as (
    select
        sales_process,
        stage_name,
        stage_order,
        sum(case when is_resolved then 1 else 0 end) as n_resolved,
        sum(case when is_resolved and is_won then 1 else 0 end) as n_won
    from entries
    group by sales_process, stage_name, stage_order
    union all
    select
        sales_process,
        'won' as stage_name,
        cast(null as integer) as stage_order,
        cast(null as bigint) as n_resolved,
        cast(null as bigint) as n_won
    from wins
    where team_id = 'all teams'
    group by sales_process
),

lately as (
    {%- for team in ['team_id', "'all teams'"] %}
    select
        sales_process,
        {{ team }}{{ '' if loop.first else ' as team_id' }},
        stage_name,
        coalesce(stage_order, 0) as place_no,
        count(*) as n
    from entries
    where days_ago <= {{ pace_days }}
    group by sales_process, {{ 'team_id, ' if loop.first }}stage_name, coalesce(stage_order, 0)
    union all
    {%- endfor %}
    select
        sales_process,
        team_id,
        'won' as stage_name,
        -1 as place_no,
        count(*) as n
    from wins
    where days_ago <= {{ pace_days }}
    group by sales_process, team_id
),

teams as (
    select
        team_id,
        min(team_name) as team_name
    from {{ ref('dim_owner') }}
    where team_id is not null
    group by team_id
),

-- a team is asked where it has open deals, has closed some in the last year, or has a target
cells as (
    select
        sales_process,
        'all teams' as team_id
    from places
    union
    select
        sales_process,
        team_id
    from deals
    where is_open or {{ elapsed_days('closed_at', 'as_of') }} <= {{ worth_days }}
    union
    select
        'all processes' as sales_process,
        team_id
    from deals
    where is_open or {{ elapsed_days('closed_at', 'as_of') }} <= {{ worth_days }}
    union
    select
        sales_process,
        team_id
    from {{ ref('fct_quarter_targets') }}
),

required as (
    select
        targets.fiscal_quarter,
        targets.sales_process,
        targets.team_id,
        targets.source,
        targets.target_money,
        case when worth.n_amounts >= run.minimum_n then worth.mean_amount end as mean_amount,
        coalesce(
            targets.target_wins,
            targets.target_money / nullif(case when worth.n_amounts >= run.minimum_n then worth.mean_amount end, 0)
        ) as wins_required,
        targets.target_wins is null as is_from_money
    from {{ ref('fct_quarter_targets') }} as targets
    cross join run
    left join worth on targets.sales_process = worth.sales_process
),

joined as (
    select
        quarters.fiscal_quarter,
        quarters.quarter_offset,
        places.sales_process,
        cells.team_id,
        case when cells.team_id in ('all teams', 'no team') then cells.team_id else coalesce(teams.team_name, cells.team_id) end
            as team_name,
        places.stage_name,
        places.stage_order,
        quarters.working_days,
        quarters.working_days_left,
        required.source,
        required.target_money,
        required.is_from_money,
        required.wins_required,
        case when quarters.is_current then coalesce(won_so_far.n_won, 0) else 0 end as n_won_so_far,
        places.n_resolved,
        coalesce(lately.n, 0) as n_lately,
        past.working_days as past_working_days,
        places.n_resolved is null as is_the_win,
        case when places.n_resolved >= run.minimum_n then cast(places.n_won as double) / places.n_resolved end as p_win,
        case when places.n_resolved >= run.minimum_n then {{ wilson_bound('places.n_won', 'places.n_resolved', '-') }} end as p_win_lower,
        case when places.n_resolved >= run.minimum_n then {{ wilson_bound('places.n_won', 'places.n_resolved', '+') }} end as p_win_upper,
        run.as_of
    from quarters
    cross join places
    cross join run
    cross join past
    inner join cells on places.sales_process = cells.sales_process
    left join teams on cells.team_id = teams.team_id
    left join required
        on
            quarters.fiscal_quarter = required.fiscal_quarter
            and places.sales_process = required.sales_process
            and cells.team_id = required.team_id
    left join won_so_far on places.sales_process = won_so_far.sales_process and cells.team_id = won_so_far.team_id
    left join lately
        on
            places.sales_process = lately.sales_process
            and cells.team_id = lately.team_id
            and places.stage_name = lately.stage_name
            and case when places.n_resolved is null then -1 else coalesce(places.stage_order, 0) end = lately.place_no
)

select
    fiscal_quarter || ': ' || sales_process || ': ' || team_id || ': ' || case when is_the_win then 'the win' else stage_name end
        as takt_key,
    fiscal_quarter,
    cast(quarter_offset as integer) as quarter_offset,
    sales_process,
    team_id,
    team_name,
    case when is_the_win then 'the win' else stage_name end as place,
    stage_order,
    cast(working_days as bigint) as working_days,
    cast(working_days_left as bigint) as working_days_left,
    source as target_source,
    target_money,
    is_from_money as is_wins_from_money,
    wins_required,
    cast(n_won_so_far as bigint) as n_won_so_far,
    cast(n_resolved as bigint) as n_resolved,
    case when is_the_win then 1.0 else p_win end as p_win,
    p_win_lower,
    p_win_upper,
    wins_required / nullif(case when is_the_win then 1.0 else p_win end, 0) as entries_required,
    working_days / nullif(wins_required, 0) * case when is_the_win then 1.0 else p_win end as takt_days,
    working_days / nullif(wins_required, 0) * p_win_lower as takt_days_lower,
    working_days / nullif(wins_required, 0) * p_win_upper as takt_days_upper,
    case
        when is_the_win and wins_required > n_won_so_far then working_days_left / (wins_required - n_won_so_far)
    end as takt_days_left,
    cast(n_lately as bigint) as n_lately,
    cast(past_working_days as double) / nullif(n_lately, 0) as pace_days,
    case
        when target_money is null and wins_required is null and team_id <> 'all teams' then 'no target of this team or its owners'
        when target_money is null and wins_required is null then 'no target'
        when wins_required is null then 'wins required unknown'
        when not is_the_win and p_win is null then 'too few'
        when is_the_win and wins_required <= n_won_so_far then 'target reached'
        else 'ok'
    end as reads,
    as_of
from joined

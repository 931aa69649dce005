{%- set bases = ['reported', 'defined'] -%}
with run as (
    select {{ week_number('as_of') }} as as_of_week
    from {{ ref('stg_control__run') }}
),

trial_numbers as (
    select {{ numbers_between(1, 1000) }} as trial_no
),

trials as (
    select
        trial_no,
        {{ pair_seeds("'trial: ' || " ~ counted_text('trial_no'), 'trial') }}
    from trial_numbers
),

-- where there is something to draw: no window of the past begins 107 weeks before the latest Monday
cells as (
    select
        sales_process,
        team_id,
        row_number() over (order by sales_process, team_id) as cell_no
    from (
        select
            sales_process,
            team_id
        from {{ ref('fct_deal_forecasts') }}
        union
        select
            wins.sales_process,
            wins.team_id
        from {{ ref('fct_new_wins') }} as wins
        inner join {{ ref('dim_forecast_week') }} as weeks on weeks.is_latest
        where wins.opened_week_no > weeks.week_no - 107
    ) as found
),

-- one row per deal: one draw says whether and in which quarter it is won, on either basis
deals as (
    select
        opportunity_id,
        sales_process,
        team_id,
        {%- for basis in bases %}
        max(case when basis = '{{ basis }}' then stage_name end) as {{ basis }}_stage,
        {%- for offset in range(4) %}
        max(case when basis = '{{ basis }}' and quarter_offset = {{ offset }} then p_won_by_end end) as {{ basis }}_p_{{ offset }},
        max(case when basis = '{{ basis }}' and quarter_offset = {{ offset }} then p_won_error end) as {{ basis }}_error_{{ offset }},
        {%- endfor %}
        {%- endfor %}
        max(money) as money
    from {{ ref('fct_deal_forecasts') }}
    group by opportunity_id, sales_process, team_id
    having max(p_won_by_end) is not null
),

{% set curves_of_a_deal = ['reported_stage', 'defined_stage'] %}
{%- for basis in bases %}
{%- for offset in range(4) %}
{%- do curves_of_a_deal.extend([basis ~ '_p_' ~ offset, basis ~ '_error_' ~ offset]) %}
{%- endfor %}
{%- endfor -%}
-- deals in the same stages at the same ages have the same chances: what a trial makes of them is worked out once
alike as (
    select
        *,
        {{ pair_seeds("'deal: ' || opportunity_id", 'deal') }},
        dense_rank() over (order by sales_process, {{ curves_of_a_deal | join(', ') }}) as alike_no
    from deals
),

chances as (
    select
        alike_no,
        {%- for column in curves_of_a_deal %}
        min({{ column }}) as {{ column }},
        {%- endfor %}
        min(sales_process) as sales_process
    from alike
    group by alike_no
),

-- the curve itself may be off: all deals of a stage share that
stages as (
    select distinct
        sales_process,
        stage_name
    from {{ ref('fct_deal_forecasts') }}
),

shifts as (
    select
        stages.sales_process,
        stages.stage_name,
        trials.trial_no,
        {{ normal_draw("'curve: ' || stages.sales_process || ': ' || stages.stage_name", 'trials.trial_no') }} as z
    from stages
    cross join trials
),

thresholds as (
    select
        {%- for basis in bases %}
        {%- for offset in range(4) %}
        chances.{{ basis }}_p_{{ offset }} + {{ basis }}_shifts.z * chances.{{ basis }}_error_{{ offset }}
            as {{ basis }}_below_{{ offset }},
        {%- endfor %}
        {%- endfor %}
        chances.alike_no,
        reported_shifts.trial_no
    from chances
    inner join shifts as reported_shifts
        on chances.sales_process = reported_shifts.sales_process and chances.reported_stage = reported_shifts.stage_name
    left join shifts as defined_shifts
        on
            chances.sales_process = defined_shifts.sales_process
            and chances.defined_stage = defined_shifts.stage_name
            and reported_shifts.trial_no = defined_shifts.trial_no
),

-- a draw above the highest wins nothing: one comparison leaves out most of deals by trials, before what it is compared with is read
highest as (
    select
        thresholds.alike_no,
        thresholds.trial_no,
        trials.trial_1,
        trials.trial_2,
        greatest(
            {%- for basis in bases %}
            {%- for offset in range(4) %}
            coalesce(thresholds.{{ basis }}_below_{{ offset }}, 0){{ ',' if not (loop.last and basis == 'defined') }}
            {%- endfor %}
            {%- endfor %}
        ) as highest_below
    from thresholds
    inner join trials on thresholds.trial_no = trials.trial_no
),

drawn as (
    select
        alike.alike_no,
        highest.trial_no,
        cells.cell_no,
        alike.money,
        highest.highest_below,
        {{ pair_draw('deal', 'trial') }} as u
    from alike
    inner join cells on alike.sales_process = cells.sales_process and alike.team_id = cells.team_id
    inner join highest on alike.alike_no = highest.alike_no
),

won as (
    select
        {%- for basis in bases %}
        case
            {%- for offset in range(4) %}
            when drawn.u < thresholds.{{ basis }}_below_{{ offset }} then {{ offset }}
            {%- endfor %}
        end as {{ basis }}_quarter,
        {%- endfor %}
        drawn.cell_no,
        drawn.trial_no,
        drawn.money
    from drawn
    inner join thresholds on drawn.alike_no = thresholds.alike_no and drawn.trial_no = thresholds.trial_no
    where drawn.u < drawn.highest_below
),

-- deals by trials are added up once, for both bases; a deal that is won on one of them alone has no quarter on the other, and a filter
-- on that here would be carried down and draw every deal once more for each quarter
won_together as (
    select
        cell_no,
        trial_no,
        reported_quarter,
        defined_quarter,
        count(*) as n_won,
        sum(money) as money
    from won
    group by cell_no, trial_no, reported_quarter, defined_quarter
),

open_won as (
    {%- for basis in bases %}
    select
        '{{ basis }}' as basis,
        cell_no,
        trial_no,
        {{ basis }}_quarter as quarter_offset,
        sum(n_won) as n_won,
        sum(money) as money
    from won_together
    group by cell_no, trial_no, {{ basis }}_quarter
    {{ 'union all' if not loop.last }}
    {%- endfor %}
),

horizons as (
    select
        quarters.quarter_offset,
        weeks.week_no as known_week,
        greatest({{ week_number('cast(quarters.starts_on as timestamp)') }} - run.as_of_week, 0) as weeks_from,
        {{ week_number('cast(quarters.ends_before as timestamp)') }} - run.as_of_week as weeks_to
    from {{ ref('dim_fiscal_quarter') }} as quarters
    inner join {{ ref('dim_forecast_week') }} as weeks on weeks.is_latest
    cross join run
    where quarters.quarter_offset >= 0
),

weeks_ahead as (
    select {{ numbers_between(0, 53) }} as week_ahead
),

-- the weeks to come: the deals that open in each have so long until the quarter ends, and as many past weeks have shown as much
ahead as (
    select
        horizons.quarter_offset,
        weeks.week_ahead,
        cast(horizons.known_week - ceil(horizons.weeks_to - weeks.week_ahead) as integer) as last_start_week_no,
        horizons.weeks_to - weeks.week_ahead as weeks_to,
        greatest(horizons.weeks_from - weeks.week_ahead, 0) as weeks_from
    from horizons
    inner join weeks_ahead as weeks on horizons.weeks_to > weeks.week_ahead
),

asked as (
    {%- for column, sign in (('weeks_to', 1), ('weeks_from', -1)) %}
    {%- for step in (0, 1) %}
    select
        quarter_offset,
        week_ahead,
        last_start_week_no,
        cast(floor({{ column }}) as integer) + {{ step }} as within_weeks,
        {{ sign }} * {{ '(' ~ column ~ ' - floor(' ~ column ~ '))' if step else '(1 + floor(' ~ column ~ ') - ' ~ column ~ ')' }} as weight
    from ahead
    {{ 'union all' if not (loop.last and column == 'weeks_from') }}
    {%- endfor %}
    {%- endfor %}
),

waits as (
    select {{ numbers_between(0, 53) }} as weeks_to_win
),

-- a win so many weeks after the Monday before its deal opened: how much of it falls into the quarter
weights as (
    select
        asked.quarter_offset,
        asked.week_ahead,
        asked.last_start_week_no,
        waits.weeks_to_win,
        round({{ ordered_sum('asked.weight', 'asked.within_weeks, asked.weight') }}, 9) as weight
    from asked
    inner join waits on asked.within_weeks >= waits.weeks_to_win
    where asked.within_weeks <= 53
    group by asked.quarter_offset, asked.week_ahead, asked.last_start_week_no, waits.weeks_to_win
),

-- as many windows as there are weeks of past, at most a year of them
counted_windows as (
    select
        flow.sales_process,
        asked.quarter_offset,
        count(distinct flow.start_week_no) as n_windows
    from {{ ref('fct_new_win_flow') }} as flow
    inner join asked
        on
            asked.week_ahead = 0
            and flow.start_week_no <= asked.last_start_week_no
            and flow.start_week_no > asked.last_start_week_no - 52
    where flow.within_weeks = 0
    group by flow.sales_process, asked.quarter_offset
    having count(distinct flow.start_week_no) >= {{ fewest_windows() }}
),

-- what the deals that opened in one week brought each team; a week keeps its place among the weeks, however far ahead it is drawn for
placed as (
    select
        wins.basis,
        cells.cell_no,
        weights.quarter_offset,
        weights.week_ahead,
        counted_windows.n_windows,
        (wins.opened_week_no - 1) % counted_windows.n_windows as place,
        sum(cast(weights.weight * wins.n_won as decimal(28, 6))) as n_won,
        sum(cast(weights.weight * cast(wins.money as double) as decimal(28, 6))) as money
    from {{ ref('fct_new_wins') }} as wins
    inner join cells on wins.sales_process = cells.sales_process and wins.team_id = cells.team_id
    inner join weights
        on
            wins.won_week_no - wins.opened_week_no + 1 = weights.weeks_to_win
            and weights.weight <> 0
            and wins.opened_week_no - 1 <= weights.last_start_week_no
    inner join counted_windows
        on
            wins.sales_process = counted_windows.sales_process
            and weights.quarter_offset = counted_windows.quarter_offset
            and wins.opened_week_no - 1 > weights.last_start_week_no - counted_windows.n_windows
    group by
        wins.basis, cells.cell_no, weights.quarter_offset, weights.week_ahead, counted_windows.n_windows,
        (wins.opened_week_no - 1) % counted_windows.n_windows
),

places as (
    select {{ numbers_between(0, 25) }} as drawn_no
),

-- the past year is itself a sample, and its mean is off like any other: each trial draws weeks to know, and from these the weeks to
-- come (a bootstrap within a bootstrap). It knows half as many as there are: a few big wins make up most of the spread, so that as
-- many as there are tell it too small (m out of n, Bickel, Goetze & van Zwet 1997; `make coverage` measures it). One draw for all
-- processes: what made a week good for one may have made it good for all
year_draws as (
    select
        places.drawn_no,
        trials.trial_no,
        {{ uniform_draw(["'new: year'", counted_text('places.drawn_no'), counted_text('trials.trial_no')]) }} as u
    from places
    cross join trials
),

weeks_asked as (
    select distinct
        counted_windows.n_windows,
        ahead.week_ahead
    from counted_windows
    inner join ahead on counted_windows.quarter_offset = ahead.quarter_offset
),

week_draws as (
    select
        weeks.n_windows,
        weeks.week_ahead,
        trials.trial_no,
        cast(floor(ceil(weeks.n_windows / 2.0) * {{ uniform_draw(
            ["'new: week'", counted_text('weeks.week_ahead'), counted_text('trials.trial_no')]
        ) }}) as integer) as drawn_no
    from weeks_asked as weeks
    cross join trials
),

picked as (
    select
        week_draws.n_windows,
        week_draws.week_ahead,
        week_draws.trial_no,
        cast(floor(week_draws.n_windows * year_draws.u) as integer) as place
    from week_draws
    inner join year_draws
        on week_draws.trial_no = year_draws.trial_no and week_draws.drawn_no = year_draws.drawn_no
),

new_won as (
    select
        placed.basis,
        placed.cell_no,
        placed.quarter_offset,
        picked.trial_no,
        sum(placed.n_won) as n_won,
        sum(placed.money) as money
    from placed
    inner join picked
        on
            placed.n_windows = picked.n_windows
            and placed.week_ahead = picked.week_ahead
            and placed.place = picked.place
    group by placed.basis, placed.cell_no, placed.quarter_offset, picked.trial_no
),

bases as (
    {%- for basis in bases %}
    select '{{ basis }}' as basis{{ ' union all' if not loop.last }}
    {%- endfor %}
)

select
    bases.basis || ': ' || cells.sales_process || ': ' || cells.team_id || ': '
    || cast(quarters.quarter_offset as {{ dbt.type_string() }}) || ': '
    || cast(trials.trial_no as {{ dbt.type_string() }}) as forecast_trial_key,
    bases.basis,
    cells.sales_process,
    cells.team_id,
    cast(quarters.quarter_offset as integer) as quarter_offset,
    quarters.fiscal_quarter,
    trials.trial_no,
    cast(coalesce(open_won.n_won, 0) as bigint) as open_wins,
    cast(coalesce(open_won.money, 0) as decimal(38, 2)) as open_money,
    cast(case when counted_windows.n_windows is not null then coalesce(new_won.n_won, 0) end as decimal(38, 6)) as new_wins,
    cast(case when counted_windows.n_windows is not null then coalesce(new_won.money, 0) end as decimal(38, 6)) as new_money
from cells
cross join bases
cross join trials
inner join {{ ref('dim_fiscal_quarter') }} as quarters on quarters.quarter_offset >= 0
left join counted_windows
    on cells.sales_process = counted_windows.sales_process and quarters.quarter_offset = counted_windows.quarter_offset
left join open_won
    on
        bases.basis = open_won.basis
        and cells.cell_no = open_won.cell_no
        and trials.trial_no = open_won.trial_no
        and quarters.quarter_offset = open_won.quarter_offset
left join new_won
    on
        bases.basis = new_won.basis
        and cells.cell_no = new_won.cell_no
        and trials.trial_no = new_won.trial_no
        and quarters.quarter_offset = new_won.quarter_offset

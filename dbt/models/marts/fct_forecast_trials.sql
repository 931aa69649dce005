with run as (
    select {{ week_number('as_of') }} as as_of_week
    from {{ ref('stg_control__run') }}
),

trials as (
    select {{ numbers_between(1, 1000) }} as trial_no
),

-- one row per deal: one draw says whether and in which quarter it is won
deals as (
    select
        opportunity_id,
        sales_process,
        stage_name,
        {%- for offset in range(4) %}
        max(case when quarter_offset = {{ offset }} then p_won_by_end end) as p_{{ offset }},
        max(case when quarter_offset = {{ offset }} then p_won_error end) as error_{{ offset }},
        {%- endfor %}
        max(money) as money
    from {{ ref('fct_deal_forecasts') }}
    where p_won_by_end is not null
    group by opportunity_id, sales_process, stage_name
),

-- the curve itself may be off: all deals of a stage share that
stages as (
    select distinct
        sales_process,
        stage_name
    from deals
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

drawn as (
    select
        deals.sales_process,
        deals.money,
        deals.p_0,
        deals.p_1,
        deals.p_2,
        deals.p_3,
        deals.error_0,
        deals.error_1,
        deals.error_2,
        deals.error_3,
        shifts.trial_no,
        shifts.z,
        {{ uniform_draw(["'deal: ' || deals.opportunity_id", counted_text('shifts.trial_no')]) }} as u
    from deals
    inner join shifts
        on deals.sales_process = shifts.sales_process and deals.stage_name = shifts.stage_name
),

won as (
    select
        sales_process,
        trial_no,
        money,
        case
            {%- for offset in range(4) %}
            when u < p_{{ offset }} + z * error_{{ offset }} then {{ offset }}
            {%- endfor %}
        end as quarter_offset
    from drawn
),

open_won as (
    select
        sales_process,
        trial_no,
        quarter_offset,
        count(*) as n_won,
        sum(money) as money
    from won
    where quarter_offset is not null
    group by sales_process, trial_no, quarter_offset
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

-- what the deals that opened in one week brought: what one window holds and the next one does not
cohorts as (
    select
        flow.sales_process,
        flow.start_week_no,
        flow.within_weeks,
        flow.n_won - coalesce(later.n_won, 0) as n_won,
        cast(flow.money - coalesce(later.money, 0) as double) as money
    from {{ ref('fct_new_win_flow') }} as flow
    left join {{ ref('fct_new_win_flow') }} as later
        on
            flow.sales_process = later.sales_process
            and flow.start_week_no + 1 = later.start_week_no
            and flow.within_weeks - 1 = later.within_weeks
),

brought as (
    select
        cohorts.sales_process,
        asked.quarter_offset,
        asked.week_ahead,
        cohorts.start_week_no,
        asked.last_start_week_no - cohorts.start_week_no as recency,
        cast({{ ordered_sum('asked.weight * cohorts.n_won', 'asked.within_weeks') }} as decimal(28, 6)) as n_won,
        cast({{ ordered_sum('asked.weight * cohorts.money', 'asked.within_weeks') }} as decimal(28, 6)) as money
    from asked
    inner join cohorts
        on
            asked.within_weeks = cohorts.within_weeks
            and asked.last_start_week_no >= cohorts.start_week_no
            and asked.last_start_week_no - 52 < cohorts.start_week_no
    where asked.weight <> 0
    group by cohorts.sales_process, asked.quarter_offset, asked.week_ahead, asked.last_start_week_no, cohorts.start_week_no
),

counted_windows as (
    select
        sales_process,
        quarter_offset,
        count(*) as n_windows
    from brought
    where week_ahead = 0
    group by sales_process, quarter_offset
    having count(*) >= {{ fewest_windows() }}
),

-- a week keeps its place among the weeks, however far ahead it is drawn for
placed as (
    select
        brought.sales_process,
        brought.quarter_offset,
        brought.week_ahead,
        counted_windows.n_windows,
        brought.start_week_no % counted_windows.n_windows as place,
        brought.n_won,
        brought.money
    from brought
    inner join counted_windows
        on brought.sales_process = counted_windows.sales_process and brought.quarter_offset = counted_windows.quarter_offset
    where brought.recency < counted_windows.n_windows
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
        n_windows,
        week_ahead
    from placed
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
        placed.sales_process,
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
    group by placed.sales_process, placed.quarter_offset, picked.trial_no
),

processes as (
    select distinct sales_process
    from {{ ref('fct_new_win_flow') }}
)

select
    processes.sales_process || ': ' || cast(quarters.quarter_offset as {{ dbt.type_string() }}) || ': '
    || cast(trials.trial_no as {{ dbt.type_string() }}) as forecast_trial_key,
    processes.sales_process,
    cast(quarters.quarter_offset as integer) as quarter_offset,
    quarters.fiscal_quarter,
    trials.trial_no,
    cast(coalesce(open_won.n_won, 0) as bigint) as open_wins,
    cast(coalesce(open_won.money, 0) as double) as open_money,
    cast(new_won.n_won as double) as new_wins,
    cast(new_won.money as double) as new_money
from processes
cross join trials
inner join {{ ref('dim_fiscal_quarter') }} as quarters on quarters.quarter_offset >= 0
left join open_won
    on
        processes.sales_process = open_won.sales_process
        and trials.trial_no = open_won.trial_no
        and quarters.quarter_offset = open_won.quarter_offset
left join new_won
    on
        processes.sales_process = new_won.sales_process
        and trials.trial_no = new_won.trial_no
        and quarters.quarter_offset = new_won.quarter_offset

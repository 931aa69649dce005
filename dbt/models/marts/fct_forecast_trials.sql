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
        {{ uniform_draw("'deal: ' || deals.opportunity_id", 'shifts.trial_no') }} as u
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
        quarters.quarter_offset as forecast_key,
        weeks.week_no as known_week,
        greatest({{ week_number('cast(quarters.starts_on as timestamp)') }} - run.as_of_week, 0) as weeks_from,
        {{ week_number('cast(quarters.ends_before as timestamp)') }} - run.as_of_week as weeks_to
    from {{ ref('dim_fiscal_quarter') }} as quarters
    inner join {{ ref('dim_forecast_week') }} as weeks on weeks.is_latest
    cross join run
    where quarters.quarter_offset >= 0
),

windows as (
    {{ new_win_windows('horizons') }}
),

counted_windows as (
    select
        sales_process,
        forecast_key,
        count(*) as n_windows
    from windows
    group by sales_process, forecast_key
    having count(*) >= {{ fewest_windows() }}
),

-- one draw for all processes: what made a week good for one may have made it good for all
picked as (
    select
        counted_windows.sales_process,
        counted_windows.forecast_key as quarter_offset,
        trials.trial_no,
        1 + cast(floor(counted_windows.n_windows * {{ uniform_draw(
            "'new: ' || cast(counted_windows.forecast_key as " ~ dbt.type_string() ~ ")", 'trials.trial_no'
        ) }}) as integer) as recency
    from counted_windows
    cross join trials
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
    cast(windows.n_won as double) as new_wins,
    cast(windows.money as double) as new_money
from processes
cross join trials
inner join {{ ref('dim_fiscal_quarter') }} as quarters on quarters.quarter_offset >= 0
left join open_won
    on
        processes.sales_process = open_won.sales_process
        and trials.trial_no = open_won.trial_no
        and quarters.quarter_offset = open_won.quarter_offset
left join picked
    on
        processes.sales_process = picked.sales_process
        and trials.trial_no = picked.trial_no
        and quarters.quarter_offset = picked.quarter_offset
left join windows
    on
        picked.sales_process = windows.sales_process
        and picked.quarter_offset = windows.forecast_key
        and picked.recency = windows.recency

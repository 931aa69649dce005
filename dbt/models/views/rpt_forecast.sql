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

processes as (
    select distinct sales_process
    from {{ ref('fct_new_win_flow') }}
),

-- of past weeks there is enough where every quarter finds its windows
horizons as (
    select
        quarters.quarter_offset as forecast_key,
        weeks.week_no as known_week,
        greatest({{ week_number('cast(quarters.starts_on as timestamp)') }} - run.as_of_week, 0) as weeks_from,
        {{ week_number('cast(quarters.ends_before as timestamp)') }} - run.as_of_week as weeks_to
    from quarters
    inner join {{ ref('dim_forecast_week') }} as weeks on weeks.is_latest
    cross join run
),

windows as (
    {{ new_win_windows('horizons') }}
),

new_wins as (
    select
        sales_process,
        forecast_key as quarter_offset,
        count(*) as n_windows,
        {{ ordered_sum('n_won', 'recency') }} / count(*) as wins,
        {{ ordered_sum('money', 'recency') }} / count(*) as money
    from windows
    group by sales_process, forecast_key
),

won as (
    select
        deals.sales_process,
        count(*) as n_won,
        sum(case when deals.amount_corporate is null then 1 else 0 end) as n_without_amount,
        sum(deals.amount_corporate) as money
    from {{ ref('fct_opportunities') }} as deals
    inner join quarters
        on
            quarters.is_current
            and deals.closed_at >= cast(quarters.starts_on as timestamp)
            and deals.closed_at < cast(quarters.ends_before as timestamp)
    where deals.is_won and not deals.is_deleted
    group by deals.sales_process
),

open_deals as (
    select
        sales_process,
        quarter_offset,
        count(*) as n_open,
        sum(case when p_won_by_end is null then 1 else 0 end) as n_unknown,
        sum(case when p_won_from = 'process' then 1 else 0 end) as n_by_process,
        sum(case when is_money_imputed then 1 else 0 end) as n_imputed,
        sum(case when money is null then 1 else 0 end) as n_without_money,
        {{ ordered_sum('p_won_in_quarter', 'opportunity_id') }} as wins,
        {{ ordered_sum('p_won_in_quarter * cast(money as double)', 'opportunity_id') }} as money,
        {{ ordered_sum('case when is_money_imputed then p_won_in_quarter * cast(money as double) end', 'opportunity_id') }}
            as imputed_money,
        sum(case when is_due and forecast_category = 'commit' then amount_corporate end) as commit_money,
        sum(case when is_due and forecast_category in ('commit', 'most likely', 'best case') then amount_corporate end) as best_case_money,
        {{ ordered_sum('case when is_due then crm_probability * cast(amount_corporate as double) end', 'opportunity_id') }}
            as weighted_money
    from {{ ref('fct_deal_forecasts') }}
    group by sales_process, quarter_offset
),

by_process as (
    select
        quarters.fiscal_quarter,
        quarters.quarter_offset,
        quarters.starts_on,
        quarters.ends_before,
        processes.sales_process,
        case when quarters.is_current then coalesce(won.n_won, 0) else 0 end as n_won,
        case when quarters.is_current then coalesce(won.n_without_amount, 0) else 0 end as n_won_without_amount,
        case when quarters.is_current then coalesce(cast(won.money as double), 0) else 0 end as won_money,
        coalesce(open_deals.n_open, 0) as n_open,
        coalesce(open_deals.n_by_process, 0) as n_by_process,
        coalesce(open_deals.n_imputed, 0) as n_imputed,
        coalesce(open_deals.n_without_money, 0) as n_without_money,
        case when coalesce(open_deals.n_unknown, 0) = 0 then coalesce(open_deals.wins, 0) end as open_wins,
        case when coalesce(open_deals.n_unknown, 0) = 0 then coalesce(open_deals.money, 0) end as open_money,
        coalesce(open_deals.imputed_money, 0) as imputed_money,
        coalesce(new_wins.n_windows, 0) as n_windows,
        case when new_wins.n_windows >= {{ fewest_windows() }} then new_wins.wins end as new_wins,
        case when new_wins.n_windows >= {{ fewest_windows() }} then new_wins.money end as new_money,
        coalesce(cast(open_deals.commit_money as double), 0) as commit_money,
        coalesce(cast(open_deals.best_case_money as double), 0) as best_case_money,
        coalesce(open_deals.weighted_money, 0) as weighted_money
    from quarters
    cross join processes
    left join won on processes.sales_process = won.sales_process
    left join open_deals
        on processes.sales_process = open_deals.sales_process and quarters.quarter_offset = open_deals.quarter_offset
    left join new_wins
        on processes.sales_process = new_wins.sales_process and quarters.quarter_offset = new_wins.quarter_offset
),

known as (
    select
        *,
        open_money is not null and new_money is not null as is_known
    from by_process
),

levelled as (
    select
        fiscal_quarter,
        quarter_offset,
        starts_on,
        ends_before,
        sales_process,
        n_won,
        n_won_without_amount,
        won_money,
        n_open,
        n_by_process,
        n_imputed,
        n_without_money,
        open_wins,
        open_money,
        imputed_money,
        n_windows,
        new_wins,
        new_money,
        commit_money,
        best_case_money,
        weighted_money,
        case
            when open_money is null then 'too few past deals'
            when new_money is null then 'too few past weeks'
            when n_without_money > 0 then 'some amounts unknown'
            else 'ok'
        end as reads
    from known
    union all
    select
        fiscal_quarter,
        quarter_offset,
        starts_on,
        ends_before,
        'all processes' as sales_process,
        sum(n_won) as n_won,
        sum(n_won_without_amount) as n_won_without_amount,
        {{ ordered_sum('won_money', 'sales_process') }} as won_money,
        sum(n_open) as n_open,
        sum(n_by_process) as n_by_process,
        sum(n_imputed) as n_imputed,
        sum(n_without_money) as n_without_money,
        {{ ordered_sum('case when is_known then open_wins end', 'sales_process') }} as open_wins,
        {{ ordered_sum('case when is_known then open_money end', 'sales_process') }} as open_money,
        {{ ordered_sum('case when is_known then imputed_money end', 'sales_process') }} as imputed_money,
        max(n_windows) as n_windows,
        {{ ordered_sum('case when is_known then new_wins end', 'sales_process') }} as new_wins,
        {{ ordered_sum('case when is_known then new_money end', 'sales_process') }} as new_money,
        {{ ordered_sum('commit_money', 'sales_process') }} as commit_money,
        {{ ordered_sum('best_case_money', 'sales_process') }} as best_case_money,
        {{ ordered_sum('weighted_money', 'sales_process') }} as weighted_money,
        case
            when sum(case when is_known then 1 else 0 end) = 0 then 'too few past deals or weeks in every process'
            when min(case when is_known then 1 else 0 end) = 0
                then 'without ' || {{ names_in_order('case when not is_known then sales_process end') }}
            when sum(n_without_money) > 0 then 'some amounts unknown'
            else 'ok'
        end as reads
    from known
    group by fiscal_quarter, quarter_offset, starts_on, ends_before
),

trials as (
    select
        trials.sales_process,
        trials.quarter_offset,
        trials.trial_no,
        trials.open_money + trials.new_money as money
    from {{ ref('fct_forecast_trials') }} as trials
    inner join known
        on trials.sales_process = known.sales_process and trials.quarter_offset = known.quarter_offset and known.is_known
),

totals as (
    select * from trials
    union all
    select
        'all processes' as sales_process,
        quarter_offset,
        trial_no,
        {{ ordered_sum('money', 'sales_process') }} as money
    from trials
    group by quarter_offset, trial_no
),

ranges as (
    select
        sales_process,
        quarter_offset,
        {{ percentile('money', 0.025) }} as lower_money,
        {{ percentile('money', 0.975) }} as upper_money
    from totals
    group by sales_process, quarter_offset
),

target_sources as (
    select
        count(*) as n_targets,
        count(case when source = 'quotas' then 1 end) as n_quotas
    from {{ ref('fct_quarter_targets') }}
)

select
    levelled.fiscal_quarter || ': ' || levelled.sales_process as forecast_key,
    levelled.fiscal_quarter,
    cast(levelled.quarter_offset as integer) as quarter_offset,
    levelled.starts_on,
    levelled.ends_before,
    levelled.sales_process,
    cast(levelled.n_won as bigint) as n_won,
    cast(levelled.n_won_without_amount as bigint) as n_won_without_amount,
    cast(levelled.won_money as double) as won_money,
    cast(levelled.n_open as bigint) as n_open,
    cast(levelled.n_by_process as bigint) as n_open_by_process,
    cast(levelled.n_imputed as bigint) as n_open_imputed,
    cast(levelled.n_without_money as bigint) as n_open_without_money,
    cast(levelled.open_wins as double) as open_wins,
    cast(levelled.open_money as double) as open_money,
    cast(levelled.imputed_money as double) as imputed_money,
    cast(levelled.n_windows as bigint) as n_windows,
    cast(levelled.new_wins as double) as new_wins,
    cast(levelled.new_money as double) as new_money,
    cast(levelled.won_money + levelled.open_money + levelled.new_money as double) as forecast_money,
    cast(levelled.won_money + ranges.lower_money as double) as forecast_lower,
    cast(levelled.won_money + ranges.upper_money as double) as forecast_upper,
    cast(levelled.won_money + levelled.commit_money as double) as crm_commit_money,
    cast(levelled.won_money + levelled.best_case_money as double) as crm_best_case_money,
    cast(levelled.won_money + levelled.weighted_money as double) as crm_weighted_money,
    targets.target_money,
    targets.target_money - cast(levelled.won_money + levelled.open_money + levelled.new_money as double) as gap_money,
    case
        when target_sources.n_targets = 0 then 'no targets are loaded'
        when target_sources.n_quotas > 0 and targets.target_money is null then 'quotas are not by process: targets.csv can be'
        when targets.target_money is null then 'no target in money is set'
        when levelled.open_money is null or levelled.new_money is null then 'no forecast'
    end as target_cause,
    levelled.reads,
    run.as_of
from levelled
cross join run
cross join target_sources
left join {{ ref('fct_quarter_targets') }} as targets
    on levelled.sales_process = targets.sales_process and levelled.fiscal_quarter = targets.fiscal_quarter
left join ranges
    on levelled.sales_process = ranges.sales_process and levelled.quarter_offset = ranges.quarter_offset

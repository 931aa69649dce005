with run as (
    select as_of
    from {{ ref('dim_run') }}
),

methods as (
    {%- for method in ['survival model', 'CRM probability', 'CRM commit', 'CRM best case', 'base rate'] %}
    select
        {{ loop.index }} as method_no,
        '{{ method }}' as method
    {{- ' union all' if not loop.last }}
    {%- endfor %}
),

cells as (
    {{ scored_pipeline() }}
),

levelled_cells as (
    select
        *,
        sales_process as level
    from cells
    union all
    select
        *,
        'all processes' as level
    from cells
),

said as (
    select
        levelled_cells.level,
        levelled_cells.fiscal_quarter,
        levelled_cells.week_no,
        levelled_cells.sales_process,
        levelled_cells.stage_name,
        levelled_cells.age_from_days,
        levelled_cells.n_open,
        levelled_cells.n_won,
        levelled_cells.n_deleted,
        levelled_cells.is_scored,
        methods.method_no,
        methods.method,
        case methods.method_no
            when 1 then levelled_cells.p_model
            when 2 then levelled_cells.p_crm
            when 3 then levelled_cells.p_commit
            when 4 then levelled_cells.p_best_case
        end as p
    from levelled_cells
    cross join methods
),

-- deals of one cell share p, so that sum (p - o)^2 = n p^2 - 2 p wins + wins; of the base rate p is the share won itself
quarter_scores as (
    select
        level,
        fiscal_quarter,
        method_no,
        method,
        sum(case when is_scored then n_open else 0 end) as n_deal_weeks,
        sum(case when is_scored then 0 else n_open end) as n_not_scored,
        sum(case when is_scored then n_won else 0 end) as n_won,
        sum(case when is_scored then n_deleted else 0 end) as n_deleted,
        {{ ordered_sum(
            'case when is_scored then n_open * p * p - 2 * p * n_won + n_won end',
            'week_no, sales_process, stage_name, age_from_days, p, n_open, n_won',
        ) }} as squares,
        {{ ordered_sum(
            'case when is_scored then n_open * p end', 'week_no, sales_process, stage_name, age_from_days, p, n_open, n_won'
        ) }} as p_sum
    from said
    group by level, fiscal_quarter, method_no, method
),

deal_scores as (
    select
        level,
        fiscal_quarter,
        method_no,
        method,
        n_deal_weeks,
        n_not_scored,
        n_won,
        n_deleted,
        squares,
        p_sum
    from quarter_scores
    union all
    select
        level,
        'all' as fiscal_quarter,
        method_no,
        method,
        sum(n_deal_weeks) as n_deal_weeks,
        sum(n_not_scored) as n_not_scored,
        sum(n_won) as n_won,
        sum(n_deleted) as n_deleted,
        {{ ordered_sum('squares', 'fiscal_quarter') }} as squares,
        {{ ordered_sum('p_sum', 'fiscal_quarter') }} as p_sum
    from quarter_scores
    group by level, method_no, method
),

rated as (
    select
        *,
        cast(n_won as double) / nullif(n_deal_weeks, 0) as base_rate,
        case
            when
                method = 'base rate'
                then cast(n_won as double) / nullif(n_deal_weeks, 0) * (1 - cast(n_won as double) / nullif(n_deal_weeks, 0))
            else squares / nullif(n_deal_weeks, 0)
        end as brier,
        case when method = 'base rate' then cast(n_won as double) / nullif(n_deal_weeks, 0) else p_sum / nullif(n_deal_weeks, 0) end
            as mean_p
    from deal_scores
),

horizons as (
    select
        week_no as forecast_key,
        week_no as known_week,
        0.0 as weeks_from,
        weeks_to_end as weeks_to
    from {{ ref('dim_forecast_week') }}
    where fiscal_quarter is not null
),

windows as (
    {{ new_win_windows('horizons') }}
),

new_wins as (
    select
        forecast_key as week_no,
        sales_process,
        {{ ordered_sum('money', 'recency') }} / count(*) as money
    from windows
    group by forecast_key, sales_process
    having count(*) >= {{ fewest_windows() }}
),

open_money as (
    select
        cells.week_no,
        cells.sales_process,
        sum(case when cells.is_scored then 0 else cells.n_open end) as n_not_scored,
        sum(cells.n_without_amount) as n_without_amount,
        {{ ordered_sum(
            'cells.p_model * (cast(cells.money as double) + cells.n_without_amount * coalesce(truths.mean_won_amount, 0))',
            'cells.stage_name, cells.age_from_days, cells.p_model, cells.n_open, cells.money, cells.n_without_amount',
        ) }} as model_money,
        {{ ordered_sum('cells.p_crm * cast(cells.money as double)', 'cells.stage_name, cells.age_from_days, cells.p_crm, cells.money') }}
            as weighted_money,
        sum(case when cells.p_commit = 1 then cells.money end) as commit_money,
        sum(case when cells.p_best_case = 1 then cells.money end) as best_case_money
    from cells
    inner join {{ ref('fct_won_weeks') }} as truths
        on cells.week_no = truths.week_no and cells.sales_process = truths.sales_process
    group by cells.week_no, cells.sales_process
),

-- one week is scored in money where every forecast of it can be told
told as (
    select
        truths.week_no,
        truths.fiscal_quarter,
        truths.sales_process,
        cast(truths.won_later_money as double) as truth_money,
        coalesce(open_money.model_money, 0) + new_wins.money as model_money,
        coalesce(open_money.weighted_money, 0) as weighted_money,
        coalesce(cast(open_money.commit_money as double), 0) as commit_money,
        coalesce(cast(open_money.best_case_money as double), 0) as best_case_money
    from {{ ref('fct_won_weeks') }} as truths
    inner join new_wins on truths.week_no = new_wins.week_no and truths.sales_process = new_wins.sales_process
    left join open_money on truths.week_no = open_money.week_no and truths.sales_process = open_money.sales_process
    where
        coalesce(open_money.n_not_scored, 0) = 0
        and (truths.mean_won_amount is not null or coalesce(open_money.n_without_amount, 0) = 0)
),

levelled_weeks as (
    select
        sales_process as level,
        fiscal_quarter,
        week_no,
        truth_money,
        model_money,
        weighted_money,
        commit_money,
        best_case_money
    from told
    union all
    select
        'all processes' as level,
        fiscal_quarter,
        week_no,
        {{ ordered_sum('truth_money', 'sales_process') }} as truth_money,
        {{ ordered_sum('model_money', 'sales_process') }} as model_money,
        {{ ordered_sum('weighted_money', 'sales_process') }} as weighted_money,
        {{ ordered_sum('commit_money', 'sales_process') }} as commit_money,
        {{ ordered_sum('best_case_money', 'sales_process') }} as best_case_money
    from told
    group by fiscal_quarter, week_no
),

errors as (
    select
        levelled_weeks.level,
        levelled_weeks.fiscal_quarter,
        levelled_weeks.week_no,
        methods.method_no,
        levelled_weeks.truth_money,
        case methods.method_no
            when 1 then levelled_weeks.model_money
            when 2 then levelled_weeks.weighted_money
            when 3 then levelled_weeks.commit_money
            when 4 then levelled_weeks.best_case_money
        end - levelled_weeks.truth_money as error
    from levelled_weeks
    inner join methods on methods.method_no <= 4
),

quarter_errors as (
    select
        level,
        fiscal_quarter,
        method_no,
        count(*) as n_weeks,
        {{ ordered_sum('truth_money', 'week_no') }} as truth_sum,
        {{ ordered_sum('error', 'week_no') }} as error_sum,
        {{ ordered_sum('abs(error)', 'week_no') }} as absolute_sum
    from errors
    group by level, fiscal_quarter, method_no
),

money_scores as (
    select
        level,
        fiscal_quarter,
        method_no,
        n_weeks,
        truth_sum,
        error_sum,
        absolute_sum
    from quarter_errors
    union all
    select
        level,
        'all' as fiscal_quarter,
        method_no,
        sum(n_weeks) as n_weeks,
        {{ ordered_sum('truth_sum', 'fiscal_quarter') }} as truth_sum,
        {{ ordered_sum('error_sum', 'fiscal_quarter') }} as error_sum,
        {{ ordered_sum('absolute_sum', 'fiscal_quarter') }} as absolute_sum
    from quarter_errors
    group by level, method_no
),

-- theirs less ours, quarter by quarter: the weeks of one quarter share one end, so that quarters are the sample
brier_gaps as (
    select
        theirs.level,
        theirs.fiscal_quarter,
        theirs.method_no,
        theirs.brier - ours.brier as gap
    from rated as theirs
    inner join rated as ours
        on theirs.level = ours.level and theirs.fiscal_quarter = ours.fiscal_quarter and ours.method_no = 1
    where theirs.method_no > 1 and theirs.fiscal_quarter <> 'all'
),

money_gaps as (
    select
        theirs.level,
        theirs.fiscal_quarter,
        theirs.method_no,
        (theirs.absolute_sum - ours.absolute_sum) / theirs.n_weeks as gap
    from quarter_errors as theirs
    inner join quarter_errors as ours
        on theirs.level = ours.level and theirs.fiscal_quarter = ours.fiscal_quarter and ours.method_no = 1
    where theirs.method_no > 1
),

{% for kind in ['brier', 'money'] %}
{{ kind }}_means as (
    select
        level,
        method_no,
        count(gap) as n_quarters,
        {{ ordered_sum('gap', 'fiscal_quarter') }} / count(gap) as mean_gap
    from {{ kind }}_gaps
    group by level, method_no
),

{{ kind }}_compared as (
    select
        means.level,
        means.method_no,
        min(means.n_quarters) as n_quarters,
        min(means.mean_gap) as mean_gap,
        min({{ student_t_975('means.n_quarters - 1') }})
        * sqrt(
            {{ ordered_sum('power(gaps.gap - means.mean_gap, 2)', 'gaps.fiscal_quarter') }} / min((means.n_quarters - 1) * means.n_quarters)
        )
            as half_width
    from {{ kind }}_means as means
    inner join {{ kind }}_gaps as gaps on means.level = gaps.level and means.method_no = gaps.method_no
    where means.n_quarters >= 3
    group by means.level, means.method_no
),
{% endfor %}
put_together as (
    select
        rated.*,
        run.as_of,
        money_scores.n_weeks,
        money_scores.truth_sum,
        money_scores.error_sum,
        money_scores.absolute_sum,
        brier_compared.n_quarters as brier_quarters,
        brier_compared.mean_gap as brier_gap,
        brier_compared.mean_gap - brier_compared.half_width as brier_gap_lower,
        brier_compared.mean_gap + brier_compared.half_width as brier_gap_upper,
        money_compared.mean_gap as money_gap,
        money_compared.mean_gap - money_compared.half_width as money_gap_lower,
        money_compared.mean_gap + money_compared.half_width as money_gap_upper,
        rated.fiscal_quarter = 'all' and rated.method_no > 1 as is_compared
    from rated
    cross join run
    left join money_scores
        on
            rated.level = money_scores.level
            and rated.fiscal_quarter = money_scores.fiscal_quarter
            and rated.method_no = money_scores.method_no
    left join brier_compared
        on rated.level = brier_compared.level and rated.method_no = brier_compared.method_no and rated.fiscal_quarter = 'all'
    left join money_compared
        on rated.level = money_compared.level and rated.method_no = money_compared.method_no and rated.fiscal_quarter = 'all'
)

select
    level || ': ' || fiscal_quarter || ': ' || method as calibration_key,
    level as sales_process,
    fiscal_quarter,
    method,
    cast(n_deal_weeks as bigint) as n_deal_weeks,
    cast(n_not_scored as bigint) as n_not_scored,
    cast(n_won as bigint) as n_won,
    cast(n_deleted as bigint) as n_deleted,
    cast(base_rate as double) as base_rate,
    cast(mean_p as double) as mean_p,
    cast(brier as double) as brier,
    cast(1 - brier / nullif(base_rate * (1 - base_rate), 0) as double) as skill,
    cast(brier_gap as double) as brier_gap,
    cast(brier_gap_lower as double) as brier_gap_lower,
    cast(brier_gap_upper as double) as brier_gap_upper,
    case when is_compared then {{ beaten('brier_gap_lower', 'brier_gap_upper') }} end as brier_verdict,
    cast(coalesce(n_weeks, 0) as bigint) as n_weeks,
    cast(truth_sum / n_weeks as double) as mean_truth_money,
    cast(error_sum / n_weeks as double) as mean_error_money,
    cast(absolute_sum / n_weeks as double) as mean_absolute_error_money,
    cast(money_gap as double) as money_gap,
    cast(money_gap_lower as double) as money_gap_lower,
    cast(money_gap_upper as double) as money_gap_upper,
    case when is_compared and method_no <= 4 then {{ beaten('money_gap_lower', 'money_gap_upper') }} end as money_verdict,
    as_of
from put_together

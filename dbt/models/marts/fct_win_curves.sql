with run as (
    select
        as_of,
        minimum_n
    from {{ ref('stg_control__run') }}
),

weeks as (
    select
        week_no,
        week_starts_on,
        horizon_weeks
    from {{ ref('dim_forecast_week') }}
),

latest as (
    select max(week_no) as week_no from weeks
),

ages as (
    {%- for age in landmark_ages() %}
    select {{ age }} as age_from_days{{ ' union all' if not loop.last }}
    {%- endfor %}
),

lines as (
    select
        basis,
        sales_process,
        stage_name,
        cast(row_number() over (order by basis, sales_process, stage_name) as integer) as line_no
    from {{ ref('fct_stage_visits') }}
    where is_mapped and not is_closed_stage and not is_start_imputed
    group by basis, sales_process, stage_name
),

-- a closing counts for the visits between it and the closing before: a reopened deal is followed anew
closings as (
    select
        basis,
        opportunity_id,
        visit_seq,
        entered_at as closing_at,
        is_won_stage,
        coalesce(lag(visit_seq) over (partition by basis, opportunity_id order by visit_seq), 0) as last_closing_seq
    from {{ ref('fct_stage_visits') }}
    where is_closed_stage
),

-- a deal that was deleted is so on both bases
endings as (
    select
        opportunity_id,
        max(exited_at) as ended_at
    from {{ ref('fct_stage_visits') }}
    where exit_kind in ('deleted', 'merged')
    group by opportunity_id
),

followed as (
    select
        lines.line_no,
        visits.entered_at,
        coalesce(visits.exited_at, run.as_of) as until_at,
        closings.closing_at,
        endings.ended_at,
        case when closings.is_won_stage then 1 else 0 end as is_won
    from {{ ref('fct_stage_visits') }} as visits
    inner join lines
        on
            visits.basis = lines.basis
            and visits.sales_process = lines.sales_process
            and visits.stage_name = lines.stage_name
    cross join run
    left join closings
        on
            visits.basis = closings.basis
            and visits.opportunity_id = closings.opportunity_id
            and visits.visit_seq < closings.visit_seq
            and visits.visit_seq >= closings.last_closing_seq
    left join endings on visits.opportunity_id = endings.opportunity_id
    where visits.is_mapped and not visits.is_closed_stage and not visits.is_start_imputed
),

-- who still stood there at that age, and what came of it: an event in the week in which it fell, else whole weeks watched
observations as (
    select
        followed.line_no,
        followed.age_from_days,
        cast(ceil({{ week_number('followed.landmark_at') }}) as integer) as landmark_week,
        case
            when followed.closing_at is not null
                then cast(ceil({{ elapsed_days('followed.landmark_at', 'followed.closing_at') }} / 7) as integer)
            when followed.ended_at is not null
                then cast(floor({{ elapsed_days('followed.landmark_at', 'followed.ended_at') }} / 7) as integer)
            else 54
        end as weeks_watched,
        case when followed.closing_at is not null then 1 else 0 end as has_closed,
        followed.is_won
    from (
        select
            visited.*,
            {{ dbt.dateadd('day', 'ages.age_from_days', 'visited.entered_at') }} as landmark_at,
            ages.age_from_days
        from followed as visited
        cross join ages
    ) as followed
    where followed.landmark_at < followed.until_at
),

-- from here on the size depends on stages and weeks, not on deals
counted as (
    select
        lines.basis,
        lines.sales_process,
        lines.stage_name,
        tallied.age_from_days,
        tallied.landmark_week,
        tallied.weeks_watched,
        tallied.n_closed,
        tallied.n_won,
        tallied.n
    from (
        select
            line_no,
            age_from_days,
            landmark_week,
            least(weeks_watched, 54) as weeks_watched,
            sum(has_closed) as n_closed,
            sum(is_won) as n_won,
            count(*) as n
        from observations
        group by line_no, age_from_days, landmark_week, least(weeks_watched, 54)
    ) as tallied
    inner join lines on tallied.line_no = lines.line_no
),

levelled as (
    select * from counted
    union all
    select
        basis,
        sales_process,
        'all stages' as stage_name,
        age_from_days,
        landmark_week,
        weeks_watched,
        sum(n_closed) as n_closed,
        sum(n_won) as n_won,
        sum(n) as n
    from counted
    group by basis, sales_process, age_from_days, landmark_week, weeks_watched
),

steps as (
    select {{ numbers_between(1, 53) }} as within_weeks
),

-- the past weeks serve the backtest, which is told as reported; as defined only the latest curves are read
asked_weeks as (
    select
        'reported' as basis,
        week_no,
        horizon_weeks
    from weeks
    union all
    select
        'defined' as basis,
        weeks.week_no,
        weeks.horizon_weeks
    from weeks
    inner join latest on weeks.week_no = latest.week_no
),

-- week t after the landmark is known of once it is over: nothing later enters a curve, and nothing that lies a year back, since
-- queues and habits change (a life table of the period, not of the cohort)
learned as (
    select
        levelled.basis,
        levelled.sales_process,
        levelled.stage_name,
        levelled.age_from_days,
        steps.within_weeks,
        levelled.landmark_week + steps.within_weeks as known_week,
        sum(levelled.n) as at_risk,
        sum(case when steps.within_weeks = levelled.weeks_watched then levelled.n_closed else 0 end) as leavers,
        sum(case when steps.within_weeks = levelled.weeks_watched then levelled.n_won else 0 end) as won
    from levelled
    inner join steps on levelled.weeks_watched >= steps.within_weeks
    cross join latest
    where
        levelled.landmark_week + steps.within_weeks <= latest.week_no
        and (levelled.basis = 'reported' or levelled.landmark_week + steps.within_weeks > latest.week_no - 52)
    group by
        levelled.basis, levelled.sales_process, levelled.stage_name, levelled.age_from_days, steps.within_weeks,
        levelled.landmark_week + steps.within_weeks
),

stages as (
    select distinct
        sales_process,
        stage_name
    from {{ ref('dim_stage') }}
    where not is_closed and sales_process in (select counted.sales_process from counted)
    union all
    select distinct
        sales_process,
        'all stages' as stage_name
    from counted
),

asked as (
    select
        weeks.basis,
        stages.sales_process,
        stages.stage_name,
        ages.age_from_days,
        steps.within_weeks,
        weeks.week_no as known_week
    from stages
    cross join ages
    cross join asked_weeks as weeks
    inner join steps on weeks.horizon_weeks >= steps.within_weeks
),

so_far as (
    select
        basis,
        sales_process,
        stage_name,
        age_from_days,
        within_weeks,
        known_week as week_no,
        is_asked,
        sum(at_risk) over known as at_risk,
        sum(leavers) over known as leavers,
        sum(won) over known as won
    from (
        select
            *,
            false as is_asked
        from learned
        union all
        select
            *,
            0 as at_risk,
            0 as leavers,
            0 as won,
            true as is_asked
        from asked
    ) as both_kinds
    window known as (
        partition by basis, sales_process, stage_name, age_from_days, within_weeks
        order by known_week
        range between 51 preceding and current row
    )
),

{% set curve = 'basis, week_no, sales_process, stage_name, age_from_days' %}
{% set upto = 'over (partition by ' ~ curve ~ ' order by within_weeks rows unbounded preceding)' %}
surviving as (
    select
        basis,
        week_no,
        sales_process,
        stage_name,
        age_from_days,
        within_weeks,
        at_risk,
        leavers,
        won,
        {{ running_product('case when at_risk > 0 then 1.0 - cast(leavers as double) / at_risk else 1.0 end', curve, 'within_weeks') }}
            as survival
    from so_far
    where is_asked
),

stepped as (
    select
        *,
        coalesce(lag(survival) over (partition by {{ curve }} order by within_weeks), 1.0) as survival_before,
        first_value(at_risk) over (partition by {{ curve }} order by within_weeks) as n_at_risk
    from surviving
),

incident as (
    select
        *,
        sum(case when at_risk > 0 then survival_before * won / at_risk else 0 end) {{ upto }} as incidence,
        min(case when at_risk = 0 and survival_before > 1e-12 then 0 else 1 end) {{ upto }} = 1 as is_watched,
        coalesce(leavers / nullif(1.0 * at_risk * (at_risk - leavers), 0), 0) as term_left,
        coalesce(power(survival_before, 2) * won * (at_risk - won) / nullif(power(cast(at_risk as double), 3), 0), 0) as term_won,
        coalesce(survival_before * won / nullif(power(cast(at_risk as double), 2), 0), 0) as term_both
    from stepped
),

-- the delta-method variance (Dinse & Larson 1986), exact for many exits in one week where Aalen's is too small; its sums of
-- (F(t) - F(s)) over s, multiplied out, are running sums
varied as (
    select
        *,
        greatest(
            power(incidence, 2) * sum(term_left) {{ upto }} - 2 * incidence * sum(incidence * term_left) {{ upto }}
            + sum(power(incidence, 2) * term_left) {{ upto }} + sum(term_won) {{ upto }}
            - 2 * incidence * sum(term_both) {{ upto }} + 2 * sum(incidence * term_both) {{ upto }},
            0
        ) as variance
    from incident
),

told as (
    select
        varied.basis,
        varied.week_no,
        varied.sales_process,
        varied.stage_name,
        varied.age_from_days,
        varied.within_weeks,
        varied.n_at_risk,
        case
            when varied.n_at_risk < run.minimum_n then 'too few'
            when not varied.is_watched then 'not watched long enough'
            else 'ok'
        end as reads,
        varied.incidence,
        varied.variance
    from varied
    cross join run
    union all
    select
        stepped.basis,
        stepped.week_no,
        stepped.sales_process,
        stepped.stage_name,
        stepped.age_from_days,
        0 as within_weeks,
        stepped.n_at_risk,
        case when stepped.n_at_risk < run.minimum_n then 'too few' else 'ok' end as reads,
        0.0 as incidence,
        0.0 as variance
    from stepped
    cross join run
    where stepped.within_weeks = 1
),

nearest as (
    select
        *,
        last_value(case when reads = 'ok' then incidence end ignore nulls) over younger as level_incidence,
        last_value(case when reads = 'ok' then variance end ignore nulls) over younger as level_variance
    from told
    window
        younger as (
            partition by basis, week_no, sales_process, stage_name, within_weeks
            order by age_from_days
            rows unbounded preceding
        )
),

resolved as (
    select
        own.*,
        case
            when own.reads = 'ok' and own.stage_name <> 'all stages' then 'stage and age'
            when own.level_incidence is not null and own.stage_name <> 'all stages' then 'stage, younger'
            when process.level_incidence is not null then 'process'
            else 'too few'
        end as p_won_from,
        coalesce(own.level_incidence, process.level_incidence) as p_won,
        case when own.level_incidence is not null then own.level_variance else process.level_variance end as p_won_variance
    from nearest as own
    inner join nearest as process
        on
            own.basis = process.basis
            and own.week_no = process.week_no
            and own.sales_process = process.sales_process
            and own.age_from_days = process.age_from_days
            and own.within_weeks = process.within_weeks
            and process.stage_name = 'all stages'
)

select
    resolved.basis || ': ' || cast(resolved.week_no as {{ dbt.type_string() }}) || ': ' || resolved.sales_process || ': '
    || resolved.stage_name || ': '
    || cast(resolved.age_from_days as {{ dbt.type_string() }}) || ': ' || cast(resolved.within_weeks as {{ dbt.type_string() }})
        as win_curve_key,
    resolved.basis,
    resolved.week_no,
    weeks.week_starts_on,
    resolved.sales_process,
    resolved.stage_name,
    cast(resolved.age_from_days as integer) as age_from_days,
    cast(resolved.within_weeks as integer) as within_weeks,
    cast(7 * resolved.within_weeks as integer) as within_days,
    cast(resolved.n_at_risk as bigint) as n_at_risk,
    resolved.reads,
    case when resolved.reads = 'ok' then cast(resolved.incidence as double) end as incidence_won,
    case when resolved.reads = 'ok' then {{ log_log_bound('resolved.incidence', 'resolved.variance', true) }} end as incidence_lower,
    case when resolved.reads = 'ok' then {{ log_log_bound('resolved.incidence', 'resolved.variance', false) }} end as incidence_upper,
    -- another level may take over where a curve ends; what was likely by then stays so
    case
        when resolved.p_won is not null
            then cast(max(resolved.p_won) over (
                partition by resolved.basis, resolved.week_no, resolved.sales_process, resolved.stage_name, resolved.age_from_days
                order by resolved.within_weeks
                rows unbounded preceding
            ) as double)
    end as p_won,
    cast(sqrt(resolved.p_won_variance) as double) as p_won_error,
    resolved.p_won_from
from resolved
inner join weeks on resolved.week_no = weeks.week_no

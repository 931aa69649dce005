with run as (
    select
        as_of,
        minimum_n
    from {{ ref('dim_run') }}
),

dated as (
    select
        outcomes.*,
        'created' as cohort_kind,
        outcomes.created_in as quarter
    from {{ ref('fct_outcomes') }} as outcomes
    union all
    select
        outcomes.*,
        'closed' as cohort_kind,
        outcomes.closed_in as quarter
    from {{ ref('fct_outcomes') }} as outcomes
    where outcomes.outcome in ('won', 'lost')
),

cohorts as (
    select
        dated.*,
        dated.quarter as cohort
    from dated
    union all
    select
        dated.*,
        'all' as cohort
    from dated
),

split as (
    select
        cohorts.*,
        'all' as stage_before
    from cohorts
    union all
    select
        cohorts.*,
        cohorts.stage_left as stage_before
    from cohorts
    where cohorts.outcome in ('won', 'lost')
),

counted as (
    select
        basis,
        sales_process,
        cohort_kind,
        cohort,
        stage_before,
        {%- for outcome in ['won', 'lost', 'open', 'unproven', 'unknown', 'deleted'] %}
        sum(case when outcome = '{{ outcome }}' then n_deals else 0 end) as n_{{ outcome }},
        {%- endfor %}
        sum(case when is_outcome_changed then n_deals else 0 end) as n_outcome_changed,
        sum(case when outcome = 'won' then amount_corporate end) as amount_won,
        sum(case when outcome = 'lost' then amount_corporate end) as amount_lost,
        sum(case when outcome in ('won', 'lost') then n_amount_unknown else 0 end) as n_amount_unknown
    from split
    group by basis, sales_process, cohort_kind, cohort, stage_before
),

totalled as (
    select
        counted.*,
        counted.n_won + counted.n_lost as n_resolved,
        counted.n_open + counted.n_unproven as n_to_come,
        max(case when counted.stage_before = 'all' then counted.n_lost end) over cohort_window as cohort_lost,
        max(case when counted.stage_before = 'all' then counted.n_won end) over cohort_window as cohort_won,
        counted.stage_before = 'all' and counted.n_won + counted.n_lost >= run.minimum_n as is_rated,
        run.as_of
    from counted
    cross join run
    window cohort_window as (partition by basis, sales_process, cohort_kind, cohort)
),

rated as (
    select
        *,
        case when is_rated then cast(n_won as double) / n_resolved end as win_rate,
        case when is_rated then {{ wilson_bound('n_won', 'n_resolved', '-') }} end as win_rate_lower,
        case when is_rated then {{ wilson_bound('n_won', 'n_resolved', '+') }} end as win_rate_upper,
        case when is_rated then cast(n_won as double) / (n_resolved + n_to_come) end as win_rate_if_open_lost,
        case when is_rated then cast(n_won + n_to_come as double) / (n_resolved + n_to_come) end as win_rate_if_open_won
    from totalled
)

select
    basis || ': ' || sales_process || ': ' || cohort_kind || ': ' || cohort || ': ' || stage_before as win_loss_key,
    basis,
    sales_process,
    cohort_kind,
    cohort,
    stage_before,
    cast(n_won as bigint) as n_won,
    cast(n_lost as bigint) as n_lost,
    cast(n_open as bigint) as n_open,
    cast(n_unproven as bigint) as n_unproven,
    cast(n_unknown as bigint) as n_unknown,
    cast(n_deleted as bigint) as n_deleted,
    cast(n_outcome_changed as bigint) as n_outcome_changed,
    win_rate,
    win_rate_lower,
    win_rate_upper,
    win_rate_if_open_lost,
    win_rate_if_open_won,
    cast(n_won as double) / nullif(cohort_won, 0) as share_of_wins,
    cast(n_lost as double) / nullif(cohort_lost, 0) as share_of_losses,
    cast(amount_won as decimal(38, 2)) as amount_won,
    cast(amount_lost as decimal(38, 2)) as amount_lost,
    cast(n_amount_unknown as bigint) as n_amount_unknown,
    case
        when stage_before <> 'all' then 'counts'
        when not is_rated then 'too few'
        when win_rate_if_open_lost < win_rate_lower or win_rate_if_open_won > win_rate_upper then 'immature'
        else 'ok'
    end as reads,
    as_of
from rated

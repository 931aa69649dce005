with run as (
    select
        as_of,
        minimum_n
    from {{ ref('dim_run') }}
),

closings as (
    select
        opportunity_id,
        visit_seq,
        stage_name,
        is_won_stage,
        exit_kind,
        row_number() over (partition by opportunity_id order by visit_seq) as closing_no
    from {{ ref('fct_stage_visits') }}
    where basis = 'reported' and is_closed_stage
),

-- where the deal stood before it closed; unknown where the history does not end in the record's stage
left_from as (
    select
        standing.opportunity_id,
        standing.stage_name,
        coalesce(earlier.stage_name, 'none') as stage_left
    from closings as standing
    left join {{ ref('fct_stage_visits') }} as earlier
        on
            standing.opportunity_id = earlier.opportunity_id
            and standing.visit_seq = earlier.visit_seq + 1
            and earlier.basis = 'reported'
    where standing.exit_kind = 'open'
),

deals as (
    select
        deals.opportunity_id,
        deals.sales_process,
        deals.amount_corporate,
        deals.created_at,
        deals.closed_at,
        case
            when deals.is_deleted then 'deleted'
            when deals.is_won then 'won'
            when deals.is_lost then 'lost'
            when deals.is_open then 'open'
            else 'unknown'
        end as outcome,
        case when first_closings.is_won_stage then 'won' when not first_closings.is_won_stage then 'lost' end as first_outcome,
        coalesce(left_from.stage_left, 'unknown') as stage_left
    from {{ ref('fct_opportunities') }} as deals
    left join left_from on deals.opportunity_id = left_from.opportunity_id and deals.stage_name = left_from.stage_name
    left join closings as first_closings
        on deals.opportunity_id = first_closings.opportunity_id and first_closings.closing_no = 1
),

dated as (
    select
        deals.*,
        'created' as cohort_kind,
        deals.created_at as cohort_at
    from deals
    union all
    select
        deals.*,
        'closed' as cohort_kind,
        deals.closed_at as cohort_at
    from deals
    where deals.outcome in ('won', 'lost')
),

quarters as (
    select
        dated.*,
        coalesce(
            cast(extract(year from dated.cohort_at) as {{ dbt.type_string() }}) || '-Q'
            || cast(extract(quarter from dated.cohort_at) as {{ dbt.type_string() }}),
            'unknown'
        ) as quarter
    from dated
),

cohorts as (
    select
        quarters.*,
        quarters.quarter as cohort
    from quarters
    union all
    select
        quarters.*,
        'all' as cohort
    from quarters
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
        sales_process,
        cohort_kind,
        cohort,
        stage_before,
        sum(case when outcome = 'won' then 1 else 0 end) as n_won,
        sum(case when outcome = 'lost' then 1 else 0 end) as n_lost,
        sum(case when outcome = 'open' then 1 else 0 end) as n_open,
        sum(case when outcome = 'unknown' then 1 else 0 end) as n_unknown,
        sum(case when outcome = 'deleted' then 1 else 0 end) as n_deleted,
        sum(case when outcome in ('won', 'lost') and first_outcome <> outcome then 1 else 0 end) as n_outcome_changed,
        sum(case when outcome = 'won' then amount_corporate end) as amount_won,
        sum(case when outcome = 'lost' then amount_corporate end) as amount_lost,
        sum(case when outcome in ('won', 'lost') and amount_corporate is null then 1 else 0 end) as n_amount_unknown
    from split
    group by sales_process, cohort_kind, cohort, stage_before
),

totalled as (
    select
        counted.*,
        counted.n_won + counted.n_lost as n_resolved,
        max(case when counted.stage_before = 'all' then counted.n_lost end) over cohort_window as cohort_lost,
        max(case when counted.stage_before = 'all' then counted.n_won end) over cohort_window as cohort_won,
        counted.stage_before = 'all' and counted.n_won + counted.n_lost >= run.minimum_n as is_rated,
        run.as_of
    from counted
    cross join run
    window cohort_window as (partition by sales_process, cohort_kind, cohort)
),

rated as (
    select
        *,
        case when is_rated then cast(n_won as double) / n_resolved end as win_rate,
        case when is_rated then {{ wilson_bound('n_won', 'n_resolved', '-') }} end as win_rate_lower,
        case when is_rated then {{ wilson_bound('n_won', 'n_resolved', '+') }} end as win_rate_upper,
        case when is_rated then cast(n_won as double) / (n_resolved + n_open) end as win_rate_if_open_lost,
        case when is_rated then cast(n_won + n_open as double) / (n_resolved + n_open) end as win_rate_if_open_won
    from totalled
)

select
    sales_process || ': ' || cohort_kind || ': ' || cohort || ': ' || stage_before as win_loss_key,
    sales_process,
    cohort_kind,
    cohort,
    stage_before,
    cast(n_won as bigint) as n_won,
    cast(n_lost as bigint) as n_lost,
    cast(n_open as bigint) as n_open,
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

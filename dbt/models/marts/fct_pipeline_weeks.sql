with run as (
    select as_of
    from {{ ref('stg_control__run') }}
),

weeks as (
    select
        weeks.week_no,
        weeks.week_starts_on,
        weeks.fiscal_quarter,
        quarters.ends_before
    from {{ ref('dim_forecast_week') }} as weeks
    inner join {{ ref('dim_fiscal_quarter') }} as quarters
        on weeks.fiscal_quarter = quarters.fiscal_quarter
),

bounds as (
    select
        min(week_no) as first_week_no,
        max(week_no) as last_week_no
    from weeks
),

{{ held_currencies() }},

deleted as (
    select opportunity_id
    from {{ ref('fct_opportunities') }}
    where is_deleted
),

-- what the CRM said while the deal stood in an open stage
said as (
    select
        spans.opportunity_id,
        visits.sales_process,
        visits.stage_name,
        visits.entered_at,
        spans.forecast_category,
        spans.probability,
        case when held.currency_code is null then spans.amount_corporate end as amount_corporate,
        spans.close_on,
        case when deleted.opportunity_id is not null then 1 else 0 end as is_deleted,
        greatest(cast(ceil({{ week_number('spans.valid_from') }}) as integer), bounds.first_week_no) as from_week_no,
        least(
            cast(ceil({{ week_number('least(spans.valid_to, coalesce(visits.exited_at, run.as_of))') }}) as integer) - 1,
            bounds.last_week_no
        ) as to_week_no
    from {{ ref('int_opportunity_values') }} as spans
    inner join {{ ref('fct_stage_visits') }} as visits
        on spans.visit_id = visits.visit_id and visits.basis = 'reported'
    left join held on spans.currency_code = held.currency_code
    left join deleted on spans.opportunity_id = deleted.opportunity_id
    cross join run
    cross join bounds
    where not spans.is_imputed and visits.is_mapped and not visits.is_closed_stage
),

on_mondays as (
    select
        *,
        {{ numbers_between('from_week_no', 'to_week_no') }} as week_no
    from said
    where from_week_no <= to_week_no
),

won_by_end as (
    select distinct
        visits.opportunity_id,
        quarters.fiscal_quarter
    from {{ ref('fct_stage_visits') }} as visits
    inner join {{ ref('dim_fiscal_quarter') }} as quarters
        on
            quarters.is_complete
            and visits.entered_at >= cast(quarters.starts_on as timestamp)
            and visits.entered_at < cast(quarters.ends_before as timestamp)
            and coalesce(visits.exited_at, {{ end_of_time() }}) >= cast(quarters.ends_before as timestamp)
    where visits.basis = 'reported' and visits.is_won_stage
),

judged as (
    select
        on_mondays.*,
        weeks.week_starts_on,
        weeks.fiscal_quarter,
        coalesce(on_mondays.close_on < weeks.ends_before, false) as is_due,
        {{ elapsed_days('on_mondays.entered_at', 'cast(weeks.week_starts_on as timestamp)') }} as age_days,
        case when won_by_end.opportunity_id is not null then 1 else 0 end as is_won
    from on_mondays
    inner join weeks on on_mondays.week_no = weeks.week_no
    left join won_by_end
        on on_mondays.opportunity_id = won_by_end.opportunity_id and weeks.fiscal_quarter = won_by_end.fiscal_quarter
)

select
    week_no,
    week_starts_on,
    fiscal_quarter,
    sales_process,
    stage_name,
    cast({{ landmark_of('age_days') }} as integer) as age_from_days,
    forecast_category,
    cast(probability as double) as crm_probability,
    is_due,
    cast(count(*) as bigint) as n_open,
    cast(sum(is_won) as bigint) as n_won,
    cast(sum(is_deleted) as bigint) as n_deleted,
    cast(sum(case when amount_corporate is null then 1 else 0 end) as bigint) as n_without_amount,
    cast(coalesce(sum(amount_corporate), 0) as decimal(38, 2)) as money
from judged
group by
    week_no, week_starts_on, fiscal_quarter, sales_process, stage_name, {{ landmark_of('age_days') }}, forecast_category,
    probability, is_due

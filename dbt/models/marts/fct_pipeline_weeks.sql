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
    select {{ deal_key('opportunity_id') }} as deal_key
    from {{ ref('fct_opportunities') }}
    where is_deleted
),

-- a span without a Monday is never counted: joins are left to the others
spans as (
    select
        spans.*,
        {{ deal_key('spans.opportunity_id') }} as deal_key,
        greatest(cast(ceil({{ week_number('spans.valid_from') }}) as integer), bounds.first_week_no) as from_week_no,
        bounds.last_week_no
    from {{ ref('int_opportunity_values') }} as spans
    cross join bounds
    where
        not spans.is_imputed
        and greatest(ceil({{ week_number('spans.valid_from') }}), bounds.first_week_no)
        <= least(ceil({{ week_number('spans.valid_to') }}) - 1, bounds.last_week_no)
),

-- what the CRM said while the deal stood in an open stage
said as (
    select
        spans.deal_key,
        visits.sales_process,
        visits.stage_name,
        visits.entered_at,
        spans.forecast_category,
        spans.probability,
        case when held.currency_code is null then spans.amount_corporate end as amount_corporate,
        spans.close_on,
        case when deleted.deal_key is not null then 1 else 0 end as is_deleted,
        spans.from_week_no,
        least(
            cast(ceil({{ week_number('least(spans.valid_to, coalesce(visits.exited_at, run.as_of))') }}) as integer) - 1,
            spans.last_week_no
        ) as to_week_no
    from spans
    inner join {{ ref('fct_stage_visits') }} as visits
        on {{ checksum(['spans.visit_id']) }} = {{ checksum(['visits.visit_id']) }} and visits.basis = 'reported'
    left join held on spans.currency_code = held.currency_code
    left join deleted on spans.deal_key = deleted.deal_key
    cross join run
    where visits.is_mapped and not visits.is_closed_stage
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
        {{ deal_key('visits.opportunity_id') }} as deal_key,
        quarters.ends_before
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
        coalesce(on_mondays.close_on < weeks.ends_before, false) as is_due,
        {{ elapsed_days('on_mondays.entered_at', 'cast(weeks.week_starts_on as timestamp)') }} as age_days,
        case when won_by_end.deal_key is not null then 1 else 0 end as is_won
    from on_mondays
    inner join weeks on on_mondays.week_no = weeks.week_no
    left join won_by_end
        on on_mondays.deal_key = won_by_end.deal_key and weeks.ends_before = won_by_end.ends_before
),

counted as (
    select
        week_no,
        sales_process,
        stage_name,
        {{ landmark_of('age_days') }} as age_from_days,
        forecast_category,
        probability,
        is_due,
        count(*) as n_open,
        sum(is_won) as n_won,
        sum(is_deleted) as n_deleted,
        sum(case when amount_corporate is null then 1 else 0 end) as n_without_amount,
        coalesce(sum(amount_corporate), 0) as money
    from judged
    group by week_no, sales_process, stage_name, {{ landmark_of('age_days') }}, forecast_category, probability, is_due
)

select
    counted.week_no,
    weeks.week_starts_on,
    weeks.fiscal_quarter,
    counted.sales_process,
    counted.stage_name,
    cast(counted.age_from_days as integer) as age_from_days,
    counted.forecast_category,
    cast(counted.probability as double) as crm_probability,
    counted.is_due,
    cast(counted.n_open as bigint) as n_open,
    cast(counted.n_won as bigint) as n_won,
    cast(counted.n_deleted as bigint) as n_deleted,
    cast(counted.n_without_amount as bigint) as n_without_amount,
    cast(counted.money as decimal(38, 2)) as money
from counted
inner join weeks on counted.week_no = weeks.week_no

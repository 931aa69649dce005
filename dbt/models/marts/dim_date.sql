with bounds as (
    select
        coalesce(
            (select min(deals.created_at) from {{ ref('int_opportunities') }} as deals),
            run.as_of
        ) as first_at,
        run.as_of,
        run.fiscal_year_start_month
    from {{ ref('stg_control__run') }} as run
),

days as (
    {{ day_series(
        "(select cast(date_trunc('year', first_at) as date) from bounds)",
        "(select cast(as_of as date) from bounds)"
    ) }}
)

select
    days.date_on,
    cast(date_trunc('week', days.date_on) as date) as week_starts_on,
    cast(date_trunc('month', days.date_on) as date) as month_starts_on,
    cast(date_trunc('quarter', days.date_on) as date) as quarter_starts_on,
    cast(extract(year from days.date_on) as integer) as calendar_year,
    cast(extract(quarter from days.date_on) as integer) as calendar_quarter,
    cast(((extract(month from days.date_on) - bounds.fiscal_year_start_month + 12) % 12) / 3 - 0.499 as integer) + 1 as fiscal_quarter
from days
cross join bounds

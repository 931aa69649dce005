with days as (
    {{ day_series(
        "(select min(quarters.starts_on) from " ~ ref('dim_fiscal_quarter') ~ " as quarters)",
        "(select cast(" ~ dbt.dateadd('day', -1, 'max(quarters.ends_before)') ~ " as date) from " ~ ref('dim_fiscal_quarter')
        ~ " as quarters)"
    ) }}
),

off as (
    select
        days.date_on,
        min(holidays.holiday_name) as holiday_name
    from days
    inner join {{ ref('int_holidays') }} as holidays
        on
            (holidays.falls = 'once' and days.date_on = holidays.holiday_on)
            or (
                holidays.falls = 'yearly'
                and extract(month from days.date_on) = holidays.month_of_year
                and extract(day from days.date_on) = holidays.day_of_month
                and days.date_on >= holidays.starts_on
                and days.date_on <= holidays.ends_on
            )
    group by days.date_on
)

select
    days.date_on,
    days.date_on >= {{ dbt.dateadd('day', 5, "date_trunc('week', days.date_on)") }} as is_weekend,
    off.date_on is not null as is_holiday,
    off.holiday_name,
    days.date_on < {{ dbt.dateadd('day', 5, "date_trunc('week', days.date_on)") }} and off.date_on is null as is_working
from days
left join off on days.date_on = off.date_on

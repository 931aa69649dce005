with run as (
    select
        as_of,
        cast(floor({{ week_number('as_of') }}) as integer) as latest_week_no
    from {{ ref('stg_control__run') }}
),

scored as (
    select
        fiscal_quarter,
        starts_on,
        ends_before,
        cast(ceil({{ week_number('cast(starts_on as timestamp)') }}) as integer) as first_week_no,
        cast(ceil({{ week_number('cast(ends_before as timestamp)') }}) as integer) - 1 as last_week_no
    from {{ ref('dim_fiscal_quarter') }}
    where is_complete
),

weeks as (
    select
        fiscal_quarter,
        ends_before,
        {{ numbers_between('first_week_no', 'last_week_no') }} as week_no
    from scored
),

put_together as (
    select
        weeks.week_no,
        weeks.fiscal_quarter,
        {{ week_number('cast(weeks.ends_before as timestamp)') }} - weeks.week_no as weeks_to_end,
        weeks.week_no = run.latest_week_no as is_latest
    from weeks
    cross join run
    union all
    select
        run.latest_week_no as week_no,
        cast(null as {{ dbt.type_string() }}) as fiscal_quarter,
        cast(null as double) as weeks_to_end,
        true as is_latest
    from run
    left join weeks on run.latest_week_no = weeks.week_no
    where weeks.week_no is null
)

select
    week_no,
    cast({{ week_start('week_no') }} as date) as week_starts_on,
    fiscal_quarter,
    weeks_to_end,
    is_latest,
    case when is_latest then 53 else 14 end as horizon_weeks
from put_together

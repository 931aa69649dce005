with run as (
    select
        as_of,
        as_of_on,
        fiscal_year_start_month as first_month
    from {{ ref('stg_control__run') }}
),

offsets as (
    select {{ numbers_between(-8, 3) }} as quarter_offset
),

quarters as (
    select
        run.as_of,
        run.first_month,
        offsets.quarter_offset,
        cast({{ dbt.dateadd(
            'month',
            'cast(3 * offsets.quarter_offset - (extract(month from run.as_of) - run.first_month + 12) % 3 as integer)',
            "date_trunc('month', run.as_of)",
        ) }} as date) as starts_on
    from run
    cross join offsets
)

select
    cast(
        extract(year from starts_on)
        + case when first_month > 1 and extract(month from starts_on) >= first_month then 1 else 0 end as {{ dbt.type_string() }}
    )
    || '-Q' || cast(cast(floor(((extract(month from starts_on) - first_month + 12) % 12) / 3) + 1 as integer) as {{ dbt.type_string() }})
        as fiscal_quarter,
    quarter_offset,
    starts_on,
    cast({{ dbt.dateadd('month', 3, 'starts_on') }} as date) as ends_before,
    quarter_offset < 0 as is_complete,
    quarter_offset = 0 as is_current
from quarters

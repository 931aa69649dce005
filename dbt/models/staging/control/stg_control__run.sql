select
    run_id,
    as_of,
    as_of_on,
    known_at,
    org_id,
    record_url_base,
    corporate_currency,
    minimum_n,
    conversion_days,
    reporting_timezone,
    fiscal_year_start_month,
    measurable_share,
    team
from {{ source('control', 'run') }}

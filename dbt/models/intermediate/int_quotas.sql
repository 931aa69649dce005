with run as (
    select
        known_at,
        corporate_currency
    from {{ ref('stg_control__run') }}
),

currencies as (
    select
        currency_code,
        nullif(conversion_rate, 0) as conversion_rate,
        is_corporate
    from {{ ref('stg_salesforce__currency_type') }}
    where not is_deleted
),

dated_rates as (
    select
        currency_code,
        nullif(conversion_rate, 0) as conversion_rate,
        start_on,
        coalesce(next_start_on, cast('9999-12-31' as date)) as next_start_on
    from {{ ref('stg_salesforce__dated_conversion_rate') }}
    where not is_deleted
)

select
    quotas.forecasting_quota_id,
    quotas.quota_owner_id as owner_id,
    quotas.start_on,
    coalesce(quotas.forecasting_type_id, 'default') as forecasting_type_id,
    case
        when quotas.currency_code is null then quotas.quota_amount
        when coalesce(quotas.currency_code = run.corporate_currency, currencies.is_corporate, false) then quotas.quota_amount
        else cast(quotas.quota_amount / coalesce(dated_rates.conversion_rate, currencies.conversion_rate) as decimal(18, 2))
    end as amount_corporate
from {{ ref('stg_salesforce__forecasting_quota') }} as quotas
cross join run
left join currencies on quotas.currency_code = currencies.currency_code
left join dated_rates
    on
        quotas.currency_code = dated_rates.currency_code
        and quotas.start_on >= dated_rates.start_on
        and quotas.start_on < dated_rates.next_start_on
where not quotas.is_deleted and coalesce(quotas.is_amount, quotas.quota_amount is not null) and quotas.start_on is not null

with run as (
    select corporate_currency from {{ ref('stg_control__run') }}
),

currencies as (
    select
        currency_code,
        is_corporate
    from {{ ref('stg_salesforce__currency_type') }}
    where not is_deleted and conversion_rate <> 0
),

dated_rates as (
    select
        currency_code,
        start_on,
        coalesce(next_start_on, cast('9999-12-31' as date)) as next_start_on
    from {{ ref('stg_salesforce__dated_conversion_rate') }}
    where not is_deleted and conversion_rate <> 0
),

-- an org that dates its rates owes one for each date; else the currency's own rate holds for all
dating as (
    select count(*) as n from dated_rates
),

deals as (
    select
        opportunities.opportunity_id,
        opportunities.currency_code,
        opportunities.currency_code = run.corporate_currency or coalesce(currencies.is_corporate, false) as is_corporate,
        case
            when opportunities.amount is null then true
            when opportunities.currency_code = run.corporate_currency or coalesce(currencies.is_corporate, false) then true
            when dating.n > 0 then count(dated_rates.currency_code) > 0
            else currencies.currency_code is not null
        end as has_rate
    from {{ ref('int_opportunities') }} as opportunities
    cross join run
    cross join dating
    left join currencies on opportunities.currency_code = currencies.currency_code
    left join dated_rates
        on
            opportunities.currency_code = dated_rates.currency_code
            and opportunities.close_on >= dated_rates.start_on
            and opportunities.close_on < dated_rates.next_start_on
    where not opportunities.is_deleted and opportunities.currency_code is not null
    group by
        opportunities.opportunity_id, opportunities.currency_code, opportunities.amount, run.corporate_currency,
        currencies.is_corporate, currencies.currency_code, dating.n
)

select
    currency_code as row_key,
    cast(null as {{ dbt.type_string() }}) as record_id,
    currency_code,
    max(case when is_corporate then 1 else 0 end) = 1 as is_corporate,
    count(*) as deals,
    sum(case when has_rate then 0 else 1 end) as deals_without_rate
from deals
group by currency_code

with run as (
    select
        as_of,
        known_at,
        corporate_currency
    from {{ ref('stg_control__run') }}
),

deals as (
    select
        opportunities.opportunity_id,
        opportunities.stage_name,
        opportunities.forecast_category,
        opportunities.probability_percent,
        opportunities.amount,
        opportunities.currency_code,
        opportunities.close_on,
        opportunities.created_at,
        opportunities.is_deleted
    from {{ ref('stg_salesforce__opportunity') }} as opportunities
    cross join run
    where opportunities.created_at <= run.as_of
),

-- the rows that stage visits are made of, so that the numbers of visits agree
rows_seen as (
    select
        history.opportunity_id,
        history.stage_name,
        history.forecast_category,
        history.probability_percent,
        history.amount,
        coalesce(history.currency_code, deals.currency_code) as currency_code,
        history.close_on,
        history.created_at as valid_from,
        coalesce(history.system_modstamp_at, history.created_at) as tie_1,
        history.opportunity_history_id as tie_2
    from {{ ref('stg_salesforce__opportunity_history') }} as history
    inner join deals on history.opportunity_id = deals.opportunity_id
    cross join run
    where
        history.stage_name is not null
        and history.created_at <= run.as_of
        and history._extracted_at <= run.known_at
        and (not history.is_deleted or deals.is_deleted)
),

deals_seen as (
    select distinct opportunity_id from rows_seen
),

linked as (
    select
        *,
        lead(valid_from) over (partition by opportunity_id order by valid_from, tie_1, tie_2) as valid_to,
        lag(stage_name) over (partition by opportunity_id order by valid_from, tie_1, tie_2) as previous_stage_name
    from rows_seen
),

numbered as (
    select
        *,
        sum(case when previous_stage_name is null or stage_name <> previous_stage_name then 1 else 0 end)
            over (partition by opportunity_id order by valid_from, tie_1, tie_2 rows unbounded preceding)
            as visit_seq
    from linked
),

spans as (
    select
        opportunity_id,
        cast(visit_seq as integer) as visit_seq,
        stage_name,
        forecast_category,
        probability_percent,
        amount,
        currency_code,
        close_on,
        valid_from,
        coalesce(valid_to, {{ end_of_time() }}) as valid_to,
        false as is_imputed
    from numbered
    -- no instant sees a row of zero length
    where valid_to is null or valid_to > valid_from
    union all
    select
        deals.opportunity_id,
        1 as visit_seq,
        deals.stage_name,
        deals.forecast_category,
        deals.probability_percent,
        deals.amount,
        deals.currency_code,
        deals.close_on,
        deals.created_at as valid_from,
        {{ end_of_time() }} as valid_to,
        true as is_imputed
    from deals
    left join deals_seen on deals.opportunity_id = deals_seen.opportunity_id
    where deals_seen.opportunity_id is null
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
    spans.opportunity_id,
    spans.opportunity_id || '-' || cast(spans.visit_seq as {{ dbt.type_string() }}) as visit_id,
    spans.stage_name,
    -- history says BestCase and Forecast where the record says Best Case and Commit
    case lower(replace(spans.forecast_category, ' ', ''))
        when 'omitted' then 'omitted'
        when 'pipeline' then 'pipeline'
        when 'bestcase' then 'best case'
        when 'mostlikely' then 'most likely'
        when 'forecast' then 'commit'
        when 'commit' then 'commit'
        when 'closed' then 'closed'
    end as forecast_category,
    spans.probability_percent / 100 as probability,
    spans.amount,
    spans.currency_code,
    case
        when spans.currency_code is null then spans.amount
        when coalesce(spans.currency_code = run.corporate_currency, currencies.is_corporate, false) then spans.amount
        else cast(spans.amount / coalesce(dated_rates.conversion_rate, currencies.conversion_rate) as decimal(18, 2))
    end as amount_corporate,
    spans.close_on,
    spans.valid_from,
    spans.valid_to,
    spans.is_imputed
from spans
cross join run
left join currencies on spans.currency_code = currencies.currency_code
left join dated_rates
    on
        spans.currency_code = dated_rates.currency_code
        and cast(spans.valid_from as date) >= dated_rates.start_on
        and cast(spans.valid_from as date) < dated_rates.next_start_on

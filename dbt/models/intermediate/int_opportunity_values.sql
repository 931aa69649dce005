{{ config(materialized='view') }}

with run as (
    select
        as_of,
        corporate_currency
    from {{ ref('stg_control__run') }}
),

-- what comes after as_of follows what came before: the timeline is cut, not ordered again
spans as (
    select
        history.opportunity_id,
        history.visit_seq,
        history.stage_name,
        history.forecast_category,
        history.probability_percent,
        history.amount,
        history.currency_code,
        history.close_on,
        -- nothing is known of its past by then: its first state since creation, marked
        case when history.changed_at > run.as_of then history.deal_created_at else history.changed_at end as valid_from,
        case when history.next_changed_at <= run.as_of then history.next_changed_at else {{ end_of_time() }} end as valid_to,
        history.is_start_imputed or history.changed_at > run.as_of as is_imputed
    from {{ ref('int_opportunity_history') }} as history
    cross join run
    where
        history.deal_created_at <= run.as_of
        and (history.changed_at <= run.as_of or history.change_no = 1)
        -- no instant sees a row of zero length
        and (history.next_changed_at is null or history.next_changed_at > least(history.changed_at, run.as_of))
),

{{ currency_rates() }}

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
    {{ corporate_amount('spans.amount', 'spans', 'run.corporate_currency') }} as amount_corporate,
    spans.close_on,
    spans.valid_from,
    spans.valid_to,
    spans.is_imputed
from spans
cross join run
{{ join_currency_rates('spans', 'cast(spans.valid_from as date)') }}

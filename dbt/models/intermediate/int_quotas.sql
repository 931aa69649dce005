with run as (
    select
        known_at,
        corporate_currency
    from {{ ref('stg_control__run') }}
),

{{ currency_rates() }}

select
    quotas.forecasting_quota_id,
    quotas.quota_owner_id as owner_id,
    quotas.start_on,
    coalesce(quotas.forecasting_type_id, 'default') as forecasting_type_id,
    {{ corporate_amount('quotas.quota_amount', 'quotas', 'run.corporate_currency') }} as amount_corporate
from {{ ref('stg_salesforce__forecasting_quota') }} as quotas
cross join run
{{ join_currency_rates('quotas', 'quotas.start_on') }}
where not quotas.is_deleted and coalesce(quotas.is_amount, quotas.quota_amount is not null) and quotas.start_on is not null

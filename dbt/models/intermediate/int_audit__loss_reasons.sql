with run as (
    select
        as_of,
        minimum_n
    from {{ ref('stg_control__run') }}
),

losses as (
    select
        count(*) as deals_with_reason,
        coalesce(sum(case when lower(records.loss_reason) like 'other%' then 1 else 0 end), 0) as deals_with_other
    from {{ ref('int_opportunities') }} as opportunities
    cross join run
    inner join {{ ref('stg_salesforce__opportunity') }} as records
        on opportunities.opportunity_id = records.opportunity_id
    where
        opportunities.is_lost and not opportunities.is_deleted and records.loss_reason is not null
        and {{ elapsed_days('opportunities.closed_at', 'run.as_of') }} <= 365
)

select
    'all' as row_key,
    cast(null as {{ dbt.type_string() }}) as record_id,
    losses.deals_with_reason,
    losses.deals_with_other,
    case
        when losses.deals_with_reason >= run.minimum_n
            then cast(losses.deals_with_other as double) / losses.deals_with_reason
    end as share_of_other
from losses
cross join run

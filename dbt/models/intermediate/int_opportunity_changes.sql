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
        coalesce(record_types.developer_name, 'default') as sales_process,
        opportunities.stage_name,
        opportunities.amount,
        opportunities.currency_code,
        opportunities.close_on,
        opportunities.created_at,
        opportunities.is_deleted,
        case
            when opportunities.is_deleted and opportunities.last_modified_at <= run.as_of then opportunities.last_modified_at
        end as deleted_at
    from {{ ref('stg_salesforce__opportunity') }} as opportunities
    cross join run
    left join {{ ref('stg_salesforce__record_type') }} as record_types
        on opportunities.record_type_id = record_types.record_type_id
    where opportunities.created_at <= run.as_of
),

-- the same rows in the same order as the stage visits: both must agree on where a deal stands
history as (
    select
        deals.opportunity_id,
        deals.sales_process,
        deals.deleted_at,
        history.stage_name,
        history.amount,
        coalesce(history.currency_code, deals.currency_code) as currency_code,
        history.close_on,
        history.created_at as changed_at,
        coalesce(history.system_modstamp_at, history.created_at) as tie_1,
        history.opportunity_history_id as tie_2,
        history.created_at <= run.as_of as is_past
    from {{ ref('stg_salesforce__opportunity_history') }} as history
    inner join deals on history.opportunity_id = deals.opportunity_id
    cross join run
    where
        history.stage_name is not null
        and history._extracted_at <= run.known_at
        and (not history.is_deleted or deals.is_deleted)
),

numbered as (
    select
        *,
        row_number() over (partition by opportunity_id order by changed_at, tie_1, tie_2) as history_no
    from history
),

first_rows as (
    select * from numbered
    where history_no = 1
),

changes as (
    select
        opportunity_id,
        sales_process,
        deleted_at,
        stage_name,
        amount,
        currency_code,
        close_on,
        changed_at,
        history_no as change_no,
        false as is_start_imputed
    from numbered
    where is_past
    union all
    -- nothing is known of its past: one state since creation, marked
    select
        deals.opportunity_id,
        deals.sales_process,
        deals.deleted_at,
        coalesce(first_rows.stage_name, deals.stage_name) as stage_name,
        case when first_rows.opportunity_id is not null then first_rows.amount else deals.amount end as amount,
        coalesce(first_rows.currency_code, deals.currency_code) as currency_code,
        case when first_rows.opportunity_id is not null then first_rows.close_on else deals.close_on end as close_on,
        deals.created_at as changed_at,
        1 as change_no,
        true as is_start_imputed
    from deals
    left join first_rows on deals.opportunity_id = first_rows.opportunity_id
    where not coalesce(first_rows.is_past, false) and deals.stage_name is not null
),

bounded as (
    select
        *,
        lead(changed_at) over (partition by opportunity_id order by change_no) as next_changed_at
    from changes
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
    bounded.opportunity_id || '-' || cast(bounded.change_no as {{ dbt.type_string() }}) as change_id,
    bounded.opportunity_id,
    bounded.sales_process,
    cast(bounded.change_no as integer) as change_no,
    bounded.changed_at,
    case
        when bounded.next_changed_at is not null then bounded.next_changed_at
        when bounded.deleted_at is not null then greatest(bounded.deleted_at, bounded.changed_at)
    end as changed_until_at,
    bounded.next_changed_at is null and bounded.deleted_at is not null as is_ended_by_deletion,
    bounded.stage_name,
    stages.stage_order,
    case
        when stages.stage_name is null then 'unmapped'
        when not stages.is_closed then 'open'
        when stages.is_won then 'won'
        else 'lost'
    end as standing,
    bounded.amount,
    bounded.currency_code,
    case
        when bounded.currency_code is null then bounded.amount
        when coalesce(bounded.currency_code = run.corporate_currency, currencies.is_corporate, false) then bounded.amount
        else cast(bounded.amount / coalesce(dated_rates.conversion_rate, currencies.conversion_rate) as decimal(18, 2))
    end as amount_corporate,
    bounded.close_on,
    bounded.is_start_imputed
from bounded
cross join run
left join {{ ref('stg_control__stage_map') }} as stages
    on bounded.sales_process = stages.sales_process and bounded.stage_name = stages.stage_name
left join currencies on bounded.currency_code = currencies.currency_code
left join dated_rates
    on
        bounded.currency_code = dated_rates.currency_code
        and bounded.close_on >= dated_rates.start_on
        and bounded.close_on < dated_rates.next_start_on

{{ config(materialized='view') }}

with run as (
    select
        as_of,
        corporate_currency
    from {{ ref('stg_control__run') }}
),

-- what comes after as_of follows what came before: the timeline is cut, not ordered again
bounded as (
    select
        history.opportunity_id,
        history.sales_process,
        case when history.deleted_at <= run.as_of then history.deleted_at end as deleted_at,
        history.stage_name,
        history.amount,
        history.currency_code,
        history.close_on,
        -- nothing is known of its past by then: its first state since creation, marked
        case when history.changed_at > run.as_of then history.deal_created_at else history.changed_at end as changed_at,
        history.change_no,
        history.is_start_imputed or history.changed_at > run.as_of as is_start_imputed,
        case when history.next_changed_at <= run.as_of then history.next_changed_at end as next_changed_at,
        history.previous_stage_name,
        history.previous_amount,
        history.previous_currency_code,
        history.previous_close_on
    from {{ ref('int_opportunity_history') }} as history
    cross join run
    where
        history.stage_name is not null
        and history.deal_created_at <= run.as_of
        and (history.changed_at <= run.as_of or history.change_no = 1)
),

{{ currency_rates() }}

select
    bounded.opportunity_id,
    bounded.sales_process,
    bounded.change_no,
    bounded.changed_at,
    case
        when bounded.next_changed_at is not null then bounded.next_changed_at
        when bounded.deleted_at is not null then greatest(bounded.deleted_at, bounded.changed_at)
    end as changed_until_at,
    bounded.next_changed_at is null and bounded.deleted_at is not null as is_ended_by_deletion,
    bounded.stage_name,
    bounded.amount,
    bounded.currency_code,
    {{ corporate_amount('bounded.amount', 'bounded', 'run.corporate_currency') }} as amount_corporate,
    bounded.close_on,
    bounded.is_start_imputed,
    bounded.previous_stage_name,
    bounded.previous_amount,
    bounded.previous_currency_code,
    {{ corporate_amount('bounded.previous_amount', 'bounded', 'run.corporate_currency', of='previous_') }} as previous_amount_corporate,
    bounded.previous_close_on
from bounded
cross join run
{{ join_currency_rates('bounded', 'bounded.close_on') }}
{{ join_currency_rates('bounded', 'bounded.previous_close_on', of='previous_') }}

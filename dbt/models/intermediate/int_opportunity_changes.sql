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
        case when history.next_changed_at <= run.as_of then history.next_changed_at end as next_changed_at
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
    stages.stage_order,
    case
        when stages.stage_name is null then 'unmapped'
        when not stages.is_closed then 'open'
        when stages.is_won then 'won'
        else 'lost'
    end as standing,
    bounded.amount,
    bounded.currency_code,
    {{ corporate_amount('bounded.amount', 'bounded', 'run.corporate_currency') }} as amount_corporate,
    bounded.close_on,
    bounded.is_start_imputed
from bounded
cross join run
left join {{ ref('stg_control__stage_map') }} as stages
    on bounded.sales_process = stages.sales_process and bounded.stage_name = stages.stage_name
{{ join_currency_rates('bounded', 'bounded.close_on') }}

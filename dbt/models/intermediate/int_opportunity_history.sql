{{ config(materialized='incremental', unique_key='opportunity_id', tags=['as_of_free']) }}

with
{%- if is_incremental() %}
concerned as (
    select opportunity_id as concerned_id
    from {{ ref('stg_salesforce__opportunity') }}
    where _batch_seq > {{ reflected('_deal_batch_seq') }}
    union
    -- the deal of a history row never changes in Salesforce
    select opportunity_id as concerned_id
    from {{ ref('stg_salesforce__opportunity_history') }}
    where _batch_seq > {{ reflected('_history_batch_seq') }}
    union
    select deals.opportunity_id as concerned_id
    from {{ ref('stg_salesforce__opportunity') }} as deals
    inner join {{ ref('stg_salesforce__record_type') }} as record_types on deals.record_type_id = record_types.record_type_id
    where record_types._batch_seq > {{ reflected('_record_type_batch_seq') }}
),
{%- endif %}

deals as (
    select
        opportunities.opportunity_id,
        coalesce(record_types.developer_name, 'default') as sales_process,
        opportunities.stage_name,
        opportunities.forecast_category,
        opportunities.probability_percent,
        opportunities.amount,
        opportunities.currency_code,
        opportunities.close_on,
        opportunities.created_at as deal_created_at,
        case when opportunities.is_deleted then opportunities.last_modified_at end as deleted_at,
        opportunities._batch_seq as _deal_batch_seq,
        record_types._batch_seq as _record_type_batch_seq
    from {{ ref('stg_salesforce__opportunity') }} as opportunities
    left join {{ ref('stg_salesforce__record_type') }} as record_types
        on opportunities.record_type_id = record_types.record_type_id
    where true{{ and_concerned('opportunities.opportunity_id') }}
),

gone as (
    select opportunity_id
    from {{ ref('stg_salesforce__opportunity') }}
    where is_deleted
),

-- a deal's deletion marks its history rows deleted too; they happened all the same
history as (
    select
        opportunity_id,
        stage_name,
        forecast_category,
        probability_percent,
        amount,
        currency_code,
        close_on,
        created_at as changed_at,
        coalesce(system_modstamp_at, created_at) as tie_1,
        opportunity_history_id as tie_2,
        created_by_id as changed_by_id,
        _batch_seq as _history_batch_seq
    from {{ ref('stg_salesforce__opportunity_history') }}
    where
        stage_name is not null{{ and_concerned('opportunity_id') }}
        and (not is_deleted or opportunity_id in (select gone.opportunity_id from gone))
),

-- a row that was taken out changes its deal, too
left_out as (
    select
        opportunity_id,
        max(_batch_seq) as _batch_seq
    from {{ ref('stg_salesforce__opportunity_history') }}
    where (is_deleted or stage_name is null){{ and_concerned('opportunity_id') }}
    group by opportunity_id
),

ordered as (
    select
        *,
        row_number() over deal as change_no,
        lead(changed_at) over deal as next_changed_at,
        lag(stage_name) over deal as previous_stage_name,
        lag(amount) over deal as previous_amount,
        lag(currency_code) over deal as previous_currency_code,
        lag(close_on) over deal as previous_close_on
    from history
    window deal as (partition by opportunity_id order by changed_at, tie_1, tie_2)
),

numbered as (
    select
        *,
        previous_stage_name is null or stage_name <> previous_stage_name as starts_visit,
        sum(case when previous_stage_name is null or stage_name <> previous_stage_name then 1 else 0 end)
            over (partition by opportunity_id order by change_no rows unbounded preceding)
            as visit_seq
    from ordered
)

-- a deal of whose past nothing is known has one state since creation, marked
select
    deals.opportunity_id,
    cast(coalesce(numbered.change_no, 1) as integer) as change_no,
    cast(coalesce(numbered.visit_seq, 1) as integer) as visit_seq,
    coalesce(numbered.starts_visit, true) as starts_visit,
    deals.sales_process,
    {%- for column in ['stage_name', 'forecast_category', 'probability_percent', 'amount', 'close_on'] %}
    case when numbered.opportunity_id is null then deals.{{ column }} else numbered.{{ column }} end as {{ column }},
    {%- endfor %}
    coalesce(numbered.currency_code, deals.currency_code) as currency_code,
    coalesce(numbered.changed_at, deals.deal_created_at) as changed_at,
    numbered.next_changed_at,
    -- a cut at as_of takes nothing from before a state: what stood before it may be kept
    numbered.previous_stage_name,
    numbered.previous_amount,
    case
        when numbered.previous_stage_name is not null then coalesce(numbered.previous_currency_code, deals.currency_code)
    end as previous_currency_code,
    numbered.previous_close_on,
    numbered.opportunity_id is null as is_start_imputed,
    numbered.changed_by_id,
    deals.deal_created_at,
    deals.deleted_at,
    deals._deal_batch_seq,
    greatest(numbered._history_batch_seq, left_out._batch_seq) as _history_batch_seq,
    deals._record_type_batch_seq
from deals
left join numbered on deals.opportunity_id = numbered.opportunity_id
left join left_out on deals.opportunity_id = left_out.opportunity_id

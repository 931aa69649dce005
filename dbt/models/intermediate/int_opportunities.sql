with run as (
    select * from {{ ref('stg_control__run') }}
),

-- empty unless as_of lies in the past: what the history knows of deals that changed afterwards
changed_later as (
    select distinct history.opportunity_id
    from {{ ref('stg_salesforce__opportunity_history') }} as history
    cross join run
    where history.created_at > run.as_of and history._extracted_at <= run.known_at
),

ranked_values as (
    select
        history.opportunity_id,
        history.amount,
        history.close_on,
        row_number() over (
            partition by history.opportunity_id
            order by history.created_at desc, history.system_modstamp_at desc, history.opportunity_history_id desc
        ) as recency
    from {{ ref('stg_salesforce__opportunity_history') }} as history
    inner join changed_later on history.opportunity_id = changed_later.opportunity_id
    cross join run
    where history.created_at <= run.as_of
),

values_at as (
    select
        opportunity_id,
        amount,
        close_on
    from ranked_values
    where recency = 1
),

visit_ends as (
    select
        opportunity_id,
        min(case when visit_seq = 1 and not is_start_imputed then entered_at end) as first_history_at,
        max(case when exit_kind in ('open', 'deleted', 'merged') then stage_name end) as last_stage_name,
        max(case when exit_kind in ('open', 'deleted', 'merged') and not is_start_imputed then stage_name end)
            as last_history_stage_name,
        max(case when exit_kind in ('open', 'deleted', 'merged') and not is_start_imputed then entered_at end)
            as last_history_stage_at
    from {{ ref('int_stage_visits') }}
    group by opportunity_id
),

deals as (
    select
        opportunities.*,
        coalesce(record_types.developer_name, 'default') as sales_process,
        visit_ends.first_history_at,
        visit_ends.last_history_stage_name,
        visit_ends.last_history_stage_at,
        changed_later.opportunity_id is not null as is_from_history,
        case when changed_later.opportunity_id is not null then visit_ends.last_stage_name else opportunities.stage_name end
            as stage_name_at,
        case when values_at.opportunity_id is not null then values_at.amount else opportunities.amount end as amount_at,
        case when values_at.opportunity_id is not null then values_at.close_on else opportunities.close_on end as close_on_at,
        coalesce(opportunities.is_deleted and opportunities.last_modified_at <= run.as_of, false) as is_deleted_at,
        run.as_of,
        run.record_url_base,
        run.corporate_currency
    from {{ ref('stg_salesforce__opportunity') }} as opportunities
    cross join run
    left join {{ ref('stg_salesforce__record_type') }} as record_types
        on opportunities.record_type_id = record_types.record_type_id
    left join visit_ends on opportunities.opportunity_id = visit_ends.opportunity_id
    left join changed_later on opportunities.opportunity_id = changed_later.opportunity_id
    left join values_at on opportunities.opportunity_id = values_at.opportunity_id
    where opportunities.created_at <= run.as_of
),

{{ currency_rates() }},

observed as (
    select
        deals.opportunity_id,
        deals.opportunity_name,
        deals.record_url_base || '/' || deals.opportunity_id as record_url,
        deals.account_id,
        deals.owner_id,
        owners.user_name as owner_name,
        deals.sales_process,
        deals.stage_name_at as stage_name,
        stages.stage_order,
        stages.step,
        stages.step_rank,
        stages.location,
        stages.stage_name is not null as is_stage_mapped,
        not stages.is_closed as is_open,
        stages.is_won,
        stages.is_closed and not stages.is_won as is_lost,
        -- the record's flags of today say nothing of a stage it had before
        case when not deals.is_from_history then deals.is_closed_flag end as is_closed_flag,
        case when not deals.is_from_history then deals.is_won_flag end as is_won_flag,
        deals.amount_at as amount,
        deals.currency_code,
        {{ corporate_amount('deals.amount_at', 'deals', 'deals.corporate_currency') }} as amount_corporate,
        deals.close_on_at as close_on,
        deals.lead_source,
        deals.segment,
        {%- for number in range(1, 5) %}
        deals.dimension_{{ number }},
        {%- endfor %}
        deals.opportunity_type,
        deals.campaign_id,
        deals.created_at,
        deals.last_modified_at,
        deals.first_history_at,
        deals.last_history_stage_name,
        case
            when not stages.is_closed then null
            when deals.last_history_stage_name = deals.stage_name_at then deals.last_history_stage_at
            when deals.last_stage_change_at <= deals.as_of then deals.last_stage_change_at
        end as closed_at,
        deals.is_deleted_at as is_deleted,
        deals.is_from_history,
        deals._extracted_at as extracted_at
    from deals
    left join {{ ref('stg_salesforce__user') }} as owners on deals.owner_id = owners.user_id
    left join {{ ref('stg_control__stage_map') }} as stages
        on deals.sales_process = stages.sales_process and deals.stage_name_at = stages.stage_name
    {{ join_currency_rates('deals', 'deals.close_on_at') }}
)

select
    observed.*,
    {{ term('qualified') }} as is_qualified
from observed

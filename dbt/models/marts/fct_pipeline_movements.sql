-- unknown amounts count as nothing in a sum of money and are counted apart; a change of amount that comes with the closing row
-- counts first, so that a win leaves the pipeline with the amount it was won at
with {{ held_currencies() }},

stages as (
    select
        sales_process,
        stage_name,
        stage_order,
        case when not is_closed then 'open' when is_won then 'won' else 'lost' end as standing
    from {{ ref('dim_stage') }}
),

compared as (
    select
        changes.opportunity_id,
        changes.sales_process,
        changes.change_no,
        changes.changed_at as starts_at,
        changes.changed_until_at as ends_at,
        case when changes.is_ended_by_deletion then 'deleted' end as left_as,
        changes.stage_name,
        stages.stage_order,
        coalesce(stages.standing, 'unmapped') as standing,
        changes.amount,
        changes.currency_code,
        changes.amount_corporate,
        changes.close_on,
        changes.is_start_imputed,
        changes.previous_stage_name,
        previous_stages.stage_order as previous_stage_order,
        case when changes.previous_stage_name is not null then coalesce(previous_stages.standing, 'unmapped') end as previous_standing,
        changes.previous_amount,
        changes.previous_currency_code,
        changes.previous_amount_corporate,
        changes.previous_close_on
    from {{ ref('int_opportunity_changes') }} as changes
    left join stages
        on changes.sales_process = stages.sales_process and changes.stage_name = stages.stage_name
    left join stages as previous_stages
        on changes.sales_process = previous_stages.sales_process and changes.previous_stage_name = previous_stages.stage_name
)

{{ pipeline_movements('compared', ['opportunity_id', 'change_no']) }}

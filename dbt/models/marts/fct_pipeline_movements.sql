-- unknown amounts count as nothing in a sum of money and are counted apart; a change of amount that comes with the closing row
-- counts first, so that a win leaves the pipeline with the amount it was won at
with held as (
    select distinct scope_value as currency_code
    from {{ ref('fct_held_scopes') }}
    where scope = 'currency' and not is_overridden
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
        changes.stage_order,
        changes.standing,
        changes.amount,
        changes.currency_code,
        case when held.currency_code is null then changes.amount_corporate end as amount_corporate,
        changes.close_on,
        changes.is_start_imputed,
        lag(changes.standing) over deal as previous_standing,
        lag(changes.stage_name) over deal as previous_stage_name,
        lag(changes.stage_order) over deal as previous_stage_order,
        lag(changes.amount) over deal as previous_amount,
        lag(changes.currency_code) over deal as previous_currency_code,
        lag(case when held.currency_code is null then changes.amount_corporate end) over deal as previous_amount_corporate,
        lag(changes.close_on) over deal as previous_close_on
    from {{ ref('int_opportunity_changes') }} as changes
    left join held on changes.currency_code = held.currency_code
    window deal as (partition by changes.opportunity_id order by changes.change_no)
)

{{ pipeline_movements('compared', ['opportunity_id', 'change_no']) }}

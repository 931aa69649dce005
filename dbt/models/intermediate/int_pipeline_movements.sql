{{ config(materialized='incremental', incremental_strategy='append', pre_hook="{{ delete_marked_deals() }}", tags=['deal_by_deal']) }}

-- unknown amounts count as nothing in a sum of money and are counted apart; a change of amount that comes with the closing row
-- counts first, so that a win leaves the pipeline with the amount it was won at
with changes as (
    select * from {{ ref('int_opportunity_changes') }}
    where {{ is_made_anew('opportunity_id') }}
),

{{ reported_states('changes') }}

{{ pipeline_movements('compared') }}

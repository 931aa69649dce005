{{ config(
    materialized='incremental', incremental_strategy='append', tags=['deal_by_deal'],
    pre_hook=["{{ delete_marked_deals() }}", "{{ increments_as_written() }}"], post_hook="{{ joins_as_estimated() }}"
) }}

-- unknown amounts count as nothing in a sum of money and are counted apart; a change of amount that comes with the closing row
-- counts first, so that a win leaves the pipeline with the amount it was won at
with changes as (
    select * from {{ ref('int_opportunity_changes') }}
    where {{ is_made_anew('opportunity_id') }}
),

{{ reported_states('changes') }}

{{ pipeline_movements('compared') }}

{{ config(
    materialized='incremental', incremental_strategy='append', tags=['deal_by_deal'],
    pre_hook=["{{ delete_marked_deals() }}", "{{ increments_as_written() }}"], post_hook="{{ joins_as_estimated() }}"
) }}

{%- set of_deals = ' where ' ~ is_made_anew('opportunity_id') ~ ')' -%}
{%- set changes = '(select * from ' ~ ref('int_opportunity_changes') ~ of_deals -%}
{%- set evidenced_visits = '(select * from ' ~ ref('int_evidenced_stage_visits') ~ of_deals -%}
with {{ evidenced_states(changes, evidenced_visits) }}

{{ pipeline_movements('compared', ['visit_seq']) }}

{{ config(
    materialized='incremental', unique_key='opportunity_id', tags=['as_of_free'],
    pre_hook="{{ joins_as_written() }}", post_hook="{{ joins_as_estimated() }}"
) }}

{%- set described = [
    'stage_name', 'stage_order', 'step', 'step_rank', 'location', 'is_closed', 'is_won', 'is_active',
] -%}
{#- Of an increment, the few rows are picked out once, before anything is joined to them. -#}
{%- set history = 'history' if is_incremental() else ref('int_opportunity_history') -%}
-- a changed stage map concerns every deal of the process
with maps as (
    select
        sales_process,
        {{ dbt.hash(names_in_order('description', ' | ')) }} as _stage_map
    from (
        select
            sales_process,
            {% for column in described -%}
            coalesce(cast({{ column }} as {{ dbt.type_string() }}), '-'){{ " || ':' || " if not loop.last }}
            {%- endfor %} as description
        from {{ ref('stg_control__stage_map') }}
    ) as stages_described
    group by sales_process
),

{% if is_incremental() -%}
-- few pairs are compared, not millions of rows
stale_maps as (
    select
        built.sales_process,
        coalesce(built._stage_map, 'none') as _stage_map
    from (
        select distinct
            sales_process,
            _stage_map
        from {{ this }}
    ) as built
    left join maps on built.sales_process = maps.sales_process
    where built._stage_map is distinct from maps._stage_map
),

concerned as (
    select opportunity_id as concerned_id
    from {{ ref('int_opportunity_history') }}
    where
        _deal_batch_seq > {{ reflected('_deal_batch_seq') }}
        or _history_batch_seq > {{ reflected('_history_batch_seq') }}
        or _record_type_batch_seq > {{ reflected('_record_type_batch_seq') }}
    union
    select built.opportunity_id as concerned_id
    from {{ this }} as built
    inner join stale_maps
        on built.sales_process = stale_maps.sales_process and coalesce(built._stage_map, 'none') = stale_maps._stage_map
),

history as (
    select * from {{ ref('int_opportunity_history') }}
    where true{{ and_concerned('opportunity_id') }}
),
{%- endif %}

last_changes as (
    select
        opportunity_id,
        max(changed_at) as last_changed_at
    from {{ history }}
    where deleted_at is not null
    group by opportunity_id
),

changes as (
    select
        history.opportunity_id,
        history.sales_process,
        history.stage_name,
        history.visit_seq as change_no,
        history.changed_at,
        cast(null as {{ dbt.type_string() }}) as gap_kind,
        cast(null as timestamp) as ended_at,
        cast(null as {{ dbt.type_string() }}) as ended_kind,
        history.is_start_imputed,
        history.changed_by_id as moved_in_by_id,
        history.deal_created_at,
        history.deleted_at,
        last_changes.last_changed_at,
        history._deal_batch_seq,
        history._history_batch_seq,
        history._record_type_batch_seq
    from {{ history }} as history
    left join last_changes on history.opportunity_id = last_changes.opportunity_id
    where history.starts_visit
),

{{ stage_visits('changes', is_collapsed=true, carried=[
    'moved_in_by_id', 'deal_created_at', 'deleted_at', 'last_changed_at', '_deal_batch_seq', '_history_batch_seq', '_record_type_batch_seq',
], of_process=('maps', ['_stage_map'])) }}

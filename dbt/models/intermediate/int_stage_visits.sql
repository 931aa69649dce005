with run as (
    select
        as_of,
        known_at
    from {{ ref('stg_control__run') }}
),

deals as (
    select
        opportunities.opportunity_id,
        coalesce(record_types.developer_name, 'default') as sales_process,
        opportunities.stage_name,
        opportunities.created_at,
        opportunities.is_deleted,
        case
            when opportunities.is_deleted and opportunities.last_modified_at <= run.as_of then opportunities.last_modified_at
        end as deleted_at
    from {{ ref('stg_salesforce__opportunity') }} as opportunities
    cross join run
    left join {{ ref('stg_salesforce__record_type') }} as record_types
        on opportunities.record_type_id = record_types.record_type_id
    where opportunities.created_at <= run.as_of
),

-- a deal's deletion marks its history rows deleted too; they happened all the same
history as (
    select
        deals.opportunity_id,
        deals.sales_process,
        deals.deleted_at,
        history.stage_name,
        history.created_at as changed_at,
        coalesce(history.system_modstamp_at, history.created_at) as tie_1,
        history.opportunity_history_id as tie_2,
        history.created_at <= run.as_of as is_past
    from {{ ref('stg_salesforce__opportunity_history') }} as history
    inner join deals on history.opportunity_id = deals.opportunity_id
    cross join run
    where
        history.stage_name is not null
        and history._extracted_at <= run.known_at
        and (not history.is_deleted or deals.is_deleted)
),

seen as (
    select
        opportunity_id,
        max(case when is_past then 1 else 0 end) as has_past,
        min_by(stage_name, cast(changed_at as {{ dbt.type_string() }}) || tie_2) as first_stage_name
    from history
    group by opportunity_id
),

changes as (
    select
        opportunity_id,
        sales_process,
        stage_name,
        changed_at,
        tie_1,
        tie_2,
        false as is_start_imputed,
        deleted_at
    from history
    where is_past
    union all
    -- nothing is known of its past: one stage since creation, marked
    select
        deals.opportunity_id,
        deals.sales_process,
        coalesce(seen.first_stage_name, deals.stage_name) as stage_name,
        deals.created_at as changed_at,
        deals.created_at as tie_1,
        '' as tie_2,
        true as is_start_imputed,
        deals.deleted_at
    from deals
    left join seen on deals.opportunity_id = seen.opportunity_id
    where coalesce(seen.has_past, 0) = 0 and deals.stage_name is not null
),

timeline as (
    select
        *,
        cast(null as {{ dbt.type_string() }}) as gap_kind,
        -- a record that says it was deleted before its last change lived until that change
        case
            when deleted_at is not null then greatest(deleted_at, max(changed_at) over (partition by opportunity_id))
        end as ended_at,
        case when deleted_at is not null then 'deleted' end as ended_kind
    from changes
),

{{ stage_visits('timeline', 'run') }}

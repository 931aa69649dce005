select
    stages.sales_process || ': ' || stages.stage_name as row_key,
    cast(null as {{ dbt.type_string() }}) as record_id,
    stages.sales_process,
    stages.stage_name,
    stages.step,
    stages.step_rank,
    stages.is_closed,
    stages.is_active,
    buyer_stages.buyer_stage
from {{ ref('stg_control__stage_map') }} as stages
left join {{ ref('stg_control__buyer_stage') }} as buyer_stages
    on stages.sales_process = buyer_stages.sales_process and stages.stage_name = buyer_stages.stage_name

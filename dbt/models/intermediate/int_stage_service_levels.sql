with run as (
    select minimum_n from {{ ref('stg_control__run') }}
),

closed_visits as (
    select
        sales_process,
        stage_name,
        count(*) as n_closed,
        {{ percentile('days_in_stage', 0.85) }} as p85_days
    from {{ ref('int_stage_visits') }}
    where
        not is_start_imputed and exit_kind not in ('open', 'deleted', 'merged')
        and not is_closed_stage
    group by sales_process, stage_name
)

-- what was frozen holds, also where it would come out otherwise today: a limit that follows its own breaches is none
select
    stages.sales_process,
    stages.stage_name,
    case
        when frozen.stage_name is not null then frozen.service_level_days
        when closed_visits.n_closed >= run.minimum_n then closed_visits.p85_days
    end as service_level_days,
    coalesce(frozen.n_closed, closed_visits.n_closed, 0) as n_closed,
    frozen.frozen_at
from {{ ref('stg_control__stage_map') }} as stages
cross join run
left join closed_visits
    on stages.sales_process = closed_visits.sales_process and stages.stage_name = closed_visits.stage_name
left join {{ ref('stg_control__service_level') }} as frozen
    on stages.sales_process = frozen.sales_process and stages.stage_name = frozen.stage_name
where not stages.is_closed

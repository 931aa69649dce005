with run as (
    select known_at from {{ ref('stg_control__run') }}
),

-- who wrote the history row that begins the visit; of several in one instant, the first
ranked as (
    select
        visits.visit_id,
        history.created_by_id,
        row_number() over (
            partition by visits.visit_id
            order by history.system_modstamp_at, history.opportunity_history_id
        ) as row_no
    from {{ ref('int_stage_visits') }} as visits
    inner join {{ ref('stg_salesforce__opportunity_history') }} as history
        on
            visits.opportunity_id = history.opportunity_id
            and visits.stage_name = history.stage_name
            and visits.entered_at = history.created_at
    cross join run
    where not visits.is_start_imputed and history._extracted_at <= run.known_at
)

select
    visit_id,
    created_by_id as moved_in_by_id
from ranked
where row_no = 1

-- At no instant is a deal evidenced in a later stage than the one it is reported in.
{{ config(tags=['conform']) }}

select
    evidenced.visit_id,
    evidenced.stage_name as evidenced_stage_name,
    reported.stage_name as reported_stage_name
from {{ ref('int_evidenced_stage_visits') }} as evidenced
inner join {{ ref('int_stage_visits') }} as reported
    on
        evidenced.opportunity_id = reported.opportunity_id
        and evidenced.entered_at < coalesce(reported.exited_at, {{ end_of_time() }})
        and reported.entered_at < coalesce(evidenced.exited_at, {{ end_of_time() }})
where
    {{ is_marked('evidenced.opportunity_id') }}
    and (
        not reported.is_mapped
        or evidenced.stage_order > reported.stage_order
        or (reported.is_closed_stage and evidenced.stage_name <> reported.stage_name)
    )

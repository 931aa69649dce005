-- Evidenced visits may leave gaps (time in no evidenced stage), but a deal is never in two stages at once.
{{ config(tags=['conform']) }}

with linked as (
    select
        opportunity_id,
        visit_seq,
        entered_at,
        exited_at,
        lead(entered_at) over (partition by opportunity_id order by visit_seq) as next_entered_at
    from {{ ref('int_evidenced_stage_visits') }}
    where {{ is_marked('opportunity_id') }}
)

select *
from linked
where exited_at < entered_at or coalesce(exited_at, {{ end_of_time() }}) > next_entered_at

-- Reported visits of one deal tile its time from the first entry on: each starts where the one before ended, none ends before
-- it starts, and only the last may stand.
{{ config(tags=['conform']) }}

with linked as (
    select
        opportunity_id,
        visit_seq,
        entered_at,
        exited_at,
        lead(entered_at) over (partition by opportunity_id order by visit_seq) as next_entered_at
    from {{ ref('int_stage_visits') }}
    where {{ is_marked('opportunity_id') }}
)

select *
from linked
where exited_at < entered_at or (next_entered_at is not null and exited_at is distinct from next_entered_at)

-- A tie is kept as a visit of zero length, and nothing else has none but a deal that was deleted at once.
{{ config(tags=['conform']) }}

select *
from {{ ref('int_stage_visits') }}
where
    {{ is_marked('opportunity_id') }}
    and (
        is_tie is distinct from coalesce(exited_at = entered_at and exit_kind <> 'deleted', false)
        or (is_tie and days_in_stage <> 0)
        or days_in_stage < 0
    )

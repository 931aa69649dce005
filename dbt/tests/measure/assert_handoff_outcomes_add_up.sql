{{ config(tags=['measure']) }}
-- each handoff has one outcome, and only a standing one can still wait
select handoff_key
from {{ ref('rpt_handoffs') }}
where n_handoffs <> n_accepted + n_returned + n_lost + n_moved_aside + n_awaiting or n_still_waiting > n_awaiting

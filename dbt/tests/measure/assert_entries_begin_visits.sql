-- each entry is where a visit of its basis begins
select
    entries.basis,
    entries.opportunity_id,
    entries.visit_seq
from {{ ref('fct_stage_entries') }} as entries
left join {{ ref('fct_stage_visits') }} as visits
    on
        {{ checksum(['entries.basis', 'entries.opportunity_id', 'entries.visit_seq', 'entries.entered_at']) }}
        = {{ checksum(['visits.basis', 'visits.opportunity_id', 'visits.visit_seq', 'visits.entered_at']) }}
where visits.opportunity_id is null

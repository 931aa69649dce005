select
    leads.record_id as lead_id,
    leads.record_name as lead_name,
    leads.record_url,
    leads.owner_id,
    leads.owner_name,
    leads.lead_source,
    leads.lead_status,
    leads.created_at,
    work.outcome,
    work.first_worked_at,
    work.closed_at,
    work.opportunity_id
from {{ ref('int_audit__lead') }} as leads
inner join {{ ref('int_lead_work') }} as work on leads.record_id = work.lead_id

select
    visits.visit_id as row_key,
    visits.opportunity_id as record_id,
    opportunities.opportunity_name as record_name,
    opportunities.record_url,
    opportunities.owner_id,
    opportunities.owner_name,
    visits.sales_process,
    visits.stage_name,
    visits.is_mapped,
    visits.entered_at
from {{ ref('int_stage_visits') }} as visits
inner join {{ ref('int_opportunities') }} as opportunities on visits.opportunity_id = opportunities.opportunity_id
where not opportunities.is_deleted

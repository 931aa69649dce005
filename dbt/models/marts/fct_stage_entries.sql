select
    visits.visit_key,
    visits.basis,
    entries.opportunity_id,
    deals.sales_process,
    visits.stage_name,
    visits.stage_order,
    entries.entered_at,
    entries.lead_source,
    entries.segment,
    entries.opportunity_type,
    entries.industry,
    entries.account_standing,
    entries.contact_roles,
    entries.responses_before,
    entries.people_met,
    entries.amount_at_entry,
    entries.way_in,
    case
        when deals.is_won then 'won'
        when deals.is_lost then 'lost'
        when deals.is_open then 'open'
        else 'unknown'
    end as outcome
from {{ ref('int_stage_entries') }} as entries
-- without the defined visits of deals set aside
inner join {{ ref('fct_stage_visits') }} as visits on entries.visit_key = visits.visit_key
inner join {{ ref('fct_opportunities') }} as deals on entries.opportunity_id = deals.opportunity_id
where not deals.is_deleted

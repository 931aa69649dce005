{%- do ref('int_words') -%}
select
    entries.basis,
    entries.opportunity_id,
    entries.visit_seq,
    deals.sales_process,
    entries.stage_name,
    entries.stage_order,
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
        when entries.basis = 'reported'
            then {{ evidenced_part('deals.is_set_aside', 'entries.stage_name', 'entries.evidenced_stage_at_end') }}
    end as evidenced_at_end,
    case
        when deals.is_won then 'won'
        when deals.is_lost then 'lost'
        when deals.is_open then 'open'
        else 'unknown'
    end as outcome
from {{ ref('int_stage_entries') }} as entries
inner join {{ ref('fct_opportunities') }} as deals on entries.opportunity_id = deals.opportunity_id
-- as in fct_stage_visits, nothing is as defined of a deal set aside
where not deals.is_deleted and (entries.basis = 'reported' or not deals.is_set_aside)

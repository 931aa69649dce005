{{ config(tags=['measure']) }}
-- Two marts count leads by week, each in its own way: they agree. The first week also holds what came before it, in one of them.
select
    stream.week_starts_on,
    stream.inquiries,
    lead_weeks.arrivals,
    stream.closed_leads,
    lead_weeks.exits,
    stream.unworked_leads,
    lead_weeks.end_wip
from {{ ref('fct_value_stream_weeks') }} as stream
inner join {{ ref('fct_lead_weeks') }} as lead_weeks on stream.week_starts_on = lead_weeks.week_starts_on
where
    stream.week_starts_on > (select min(first_weeks.week_starts_on) from {{ ref('fct_value_stream_weeks') }} as first_weeks)
    and (
        stream.inquiries <> lead_weeks.arrivals
        or stream.closed_leads <> lead_weeks.exits
        or stream.unworked_leads > lead_weeks.end_wip
    )

{{ config(
    materialized='incremental',
    incremental_strategy='append',
    pre_hook=["{{ delete_marked_deals('record_id') }}", "{{ increments_as_written() }}"],
    post_hook="{{ joins_as_estimated() }}",
    tags=['deal_by_deal']
) }}

with visits as (
    select
        *,
        lag(exit_kind) over (partition by opportunity_id order by visit_seq) as previous_exit_kind,
        lag(is_mapped) over (partition by opportunity_id order by visit_seq) as is_previous_mapped
    from {{ ref('int_stage_visits') }}
    where {{ is_made_anew('opportunity_id') }}
)

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
    visits.entered_at,
    -- from or to a stage without a place in the order nobody can say whether one was passed over, or whether it went back
    case
        when visits.visit_seq = 1 then 'first'
        when visits.previous_exit_kind = 'reopened' then 'reopened'
        when visits.is_mapped and visits.is_previous_mapped then visits.previous_exit_kind
    end as entered_by,
    case
        when visits.visit_seq = 1 or (visits.is_mapped and visits.is_previous_mapped) then visits.stages_skipped
    end as stages_skipped,
    evidence.skip_reason,
    evidence.return_reason
from visits
inner join {{ ref('int_opportunities') }} as opportunities on visits.opportunity_id = opportunities.opportunity_id
inner join {{ ref('int_opportunity_evidence') }} as evidence on visits.opportunity_id = evidence.opportunity_id
where not opportunities.is_deleted

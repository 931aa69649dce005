{%- do ref('int_words') -%}
with run as (
    select
        as_of,
        conversion_days
    from {{ ref('stg_control__run') }}
),

entry_rules as (
    select
        definition_id,
        version as definition_version,
        from_step_rank
    from {{ ref('stg_control__definition') }}
    where kind = 'stage_entry' and is_configured and from_step_rank is not null and evidence is not null
),

-- won and lost are no entry, they are the outcome
visits as (
    select
        opportunity_id,
        stage_name,
        step_rank,
        entered_at,
        is_start_imputed,
        coalesce(furthest_rank_before, -1) as furthest_before
    from {{ ref('int_stage_visits') }}
    where is_mapped and not is_closed_stage
),

-- the first time that the rule asks
entries as (
    select
        entry_rules.definition_id,
        entry_rules.definition_version,
        visits.opportunity_id,
        visits.stage_name,
        visits.entered_at,
        visits.is_start_imputed
    from visits
    inner join entry_rules
        on visits.step_rank >= entry_rules.from_step_rank and visits.furthest_before < entry_rules.from_step_rank
)

select
    entries.definition_id,
    entries.definition_version,
    entries.opportunity_id,
    deals.sales_process,
    entries.stage_name,
    entries.entered_at,
    {{ elapsed_days('entries.entered_at', 'run.as_of') }} >= run.conversion_days as is_mature,
    case
        when entries.is_start_imputed then 'unknown'
        when evidence.first_evidenced_at <= entries.entered_at then 'met'
        else 'breached'
    end as at_entry,
    case
        when deals.is_won then 'won'
        when deals.is_lost then 'lost'
        when deals.is_open then 'open'
        else 'unknown'
    end as outcome
from entries
cross join run
inner join {{ ref('fct_opportunities') }} as deals on entries.opportunity_id = deals.opportunity_id
left join {{ ref('int_stage_evidence') }} as evidence
    on entries.opportunity_id = evidence.opportunity_id and entries.definition_id = evidence.definition_id
where not deals.is_deleted and coalesce(evidence.is_asked, true)

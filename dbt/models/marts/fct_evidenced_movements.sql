-- amount and close date from the history, the stage from the evidence: a deal stands in the pipeline while both are there
with held as (
    select distinct scope_value as currency_code
    from {{ ref('fct_held_scopes') }}
    where scope = 'currency' and not is_overridden
),

-- of the visits that last no time, the last one tells how the deal left the instant
instants as (
    select
        opportunity_id,
        exited_at,
        max_by(exit_kind, visit_seq) as exit_kind
    from {{ ref('fct_stage_visits') }}
    where basis = 'defined' and entered_at = exited_at
    group by opportunity_id, exited_at
),

-- between two visits a deal may stand in no evidenced stage
evidenced as (
    select
        visits.opportunity_id,
        visits.visit_seq,
        visits.entered_at,
        visits.exited_at,
        visits.stage_name,
        visits.stage_order,
        visits.is_start_imputed,
        case when not visits.is_closed_stage then 'open' when visits.is_won_stage then 'won' else 'lost' end as standing,
        case
            when visits.exited_at >= lead(visits.entered_at) over deal then null
            when coalesce(instants.exit_kind, visits.exit_kind) in ('deleted', 'merged') then 'deleted'
            when coalesce(instants.exit_kind, visits.exit_kind) = 'won_without_evidence' then 'unproven'
            when visits.exited_at is not null then 'unmapped'
        end as left_as
    from {{ ref('fct_stage_visits') }} as visits
    left join instants on visits.opportunity_id = instants.opportunity_id and visits.exited_at = instants.exited_at
    where visits.basis = 'defined' and visits.is_mapped and visits.entered_at < coalesce(visits.exited_at, {{ end_of_time() }})
    window deal as (partition by visits.opportunity_id order by visits.visit_seq)
),

states as (
    select
        changes.opportunity_id,
        changes.sales_process,
        changes.change_no,
        evidenced.visit_seq,
        greatest(changes.changed_at, evidenced.entered_at) as starts_at,
        least(coalesce(changes.changed_until_at, {{ end_of_time() }}), coalesce(evidenced.exited_at, {{ end_of_time() }})) as ends_at,
        case when evidenced.exited_at <= coalesce(changes.changed_until_at, {{ end_of_time() }}) then evidenced.left_as end as left_as,
        evidenced.stage_name,
        evidenced.stage_order,
        evidenced.standing,
        changes.amount,
        changes.currency_code,
        case when held.currency_code is null then changes.amount_corporate end as amount_corporate,
        changes.close_on,
        evidenced.is_start_imputed
    from {{ ref('int_opportunity_changes') }} as changes
    inner join evidenced
        on
            changes.opportunity_id = evidenced.opportunity_id
            and changes.changed_at < coalesce(evidenced.exited_at, {{ end_of_time() }})
            and evidenced.entered_at < coalesce(changes.changed_until_at, {{ end_of_time() }})
            and changes.changed_at < coalesce(changes.changed_until_at, {{ end_of_time() }})
    left join held on changes.currency_code = held.currency_code
),

compared as (
    select
        *,
        case when lag(left_as) over deal is null then lag(stage_name) over deal end as previous_stage_name,
        coalesce(lag(left_as) over deal, lag(standing) over deal) as previous_standing,
        lag(stage_order) over deal as previous_stage_order,
        lag(amount) over deal as previous_amount,
        lag(currency_code) over deal as previous_currency_code,
        lag(amount_corporate) over deal as previous_amount_corporate,
        lag(close_on) over deal as previous_close_on
    from states
    window deal as (partition by opportunity_id order by change_no, visit_seq)
)

{{ pipeline_movements('compared', ['opportunity_id', 'change_no', 'visit_seq']) }}

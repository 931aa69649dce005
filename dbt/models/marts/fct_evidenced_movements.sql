{%- set stated = ['amount', 'currency_code', 'amount_corporate', 'close_on'] -%}
-- amount and close date from the history, the stage from the evidence: a deal stands in the pipeline while both are there
with {{ held_currencies() }},

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

visits as (
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
            when coalesce(instants.exit_kind, visits.exit_kind) in ('deleted', 'merged') then 'deleted'
            when coalesce(instants.exit_kind, visits.exit_kind) = 'won_without_evidence' then 'unproven'
            when visits.exited_at is not null then 'unmapped'
        end as left_as
    from {{ ref('fct_stage_visits') }} as visits
    left join instants on visits.opportunity_id = instants.opportunity_id and visits.exited_at = instants.exited_at
    where visits.basis = 'defined' and visits.is_mapped and visits.entered_at < coalesce(visits.exited_at, {{ end_of_time() }})
),

-- between two visits a deal may stand in no evidenced stage
evidenced as (
    select
        opportunity_id,
        visit_seq,
        entered_at,
        exited_at,
        stage_name,
        stage_order,
        is_start_imputed,
        standing,
        case when exited_at < coalesce(lead(entered_at) over deal, {{ end_of_time() }}) then left_as end as left_as,
        case when lag(exited_at) over deal < entered_at then lag(left_as) over deal end as previous_left_as,
        lag(stage_name) over deal as previous_stage_name,
        lag(stage_order) over deal as previous_stage_order,
        lag(standing) over deal as previous_standing
    from visits
    window deal as (partition by opportunity_id order by visit_seq)
),

-- of the changes that last no time, the first one tells what stood before the instant
fleeting as (
    select
        *,
        row_number() over (partition by opportunity_id, changed_at order by change_no) as nth
    from {{ ref('int_opportunity_changes') }}
    where changed_at = changed_until_at
),

lasting as (
    select
        changes.opportunity_id,
        changes.sales_process,
        changes.change_no,
        changes.changed_at,
        {%- for column in stated %}
        changes.{{ column }},
        case when fleeting.nth = 1 then fleeting.previous_{{ column }} else changes.previous_{{ column }} end
            as previous_{{ column }},
        {%- endfor %}
        coalesce(changes.changed_until_at, {{ end_of_time() }}) as until_at
    from {{ ref('int_opportunity_changes') }} as changes
    left join fleeting
        on changes.opportunity_id = fleeting.opportunity_id and changes.changed_at = fleeting.changed_at and fleeting.nth = 1
    where changes.changed_at < coalesce(changes.changed_until_at, {{ end_of_time() }})
),

-- every visit starts within the changes of its deal: just before a state stood the visit before, where the visit starts with the
-- state, else the same one; and likewise the change
compared as (
    select
        changes.opportunity_id,
        changes.sales_process,
        changes.change_no,
        evidenced.visit_seq,
        greatest(changes.changed_at, evidenced.entered_at) as starts_at,
        least(changes.until_at, coalesce(evidenced.exited_at, {{ end_of_time() }})) as ends_at,
        case when evidenced.exited_at <= changes.until_at then evidenced.left_as end as left_as,
        evidenced.stage_name,
        evidenced.stage_order,
        evidenced.standing,
        evidenced.is_start_imputed,
        {%- for column in stated %}
        changes.{{ column }},
        case when changes.changed_at < evidenced.entered_at then changes.{{ column }} else changes.previous_{{ column }} end
            as previous_{{ column }},
        {%- endfor %}
        case
            when changes.changed_at > evidenced.entered_at then evidenced.stage_name
            when evidenced.previous_left_as is null then evidenced.previous_stage_name
        end as previous_stage_name,
        case
            when changes.changed_at > evidenced.entered_at then evidenced.stage_order
            else evidenced.previous_stage_order
        end as previous_stage_order,
        case
            when changes.changed_at > evidenced.entered_at then evidenced.standing
            else coalesce(evidenced.previous_left_as, evidenced.previous_standing)
        end as previous_standing
    from lasting as changes
    inner join evidenced
        on
            changes.opportunity_id = evidenced.opportunity_id
            and changes.changed_at < coalesce(evidenced.exited_at, {{ end_of_time() }})
            and changes.until_at > evidenced.entered_at
)

{{ pipeline_movements('compared', ['opportunity_id', 'change_no', 'visit_seq']) }}

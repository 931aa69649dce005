{{ config(tags=['measure']) }}
-- every row of every rule on every run, process and team: raw = met + breached + not applicable + unknown, breaches by what was
-- decided, and each scope holds all rows of the day
with totals as (
    select
        definition_id,
        as_of_on,
        scope,
        sum(raw) as raw,
        sum(met) as met,
        sum(breached) as breached,
        sum(not_applicable) as not_applicable,
        sum(unknown) as unknown
    from {{ ref('rpt_definition_scorecard') }}
    where state = 'measured'
    group by definition_id, as_of_on, scope
)

select
    definition_day_key as what,
    raw
from {{ ref('rpt_definition_scorecard') }}
where
    raw <> met + breached + not_applicable + unknown
    or applicable <> raw - not_applicable
    or (state = 'measured' and raw is null)
    or (state <> 'measured' and raw is not null)
    or breached <> n_open + n_snoozed + n_waived + n_disputed + n_said_fixed
union all
select
    'not the sum of its parts: ' || whole.definition_id || ' ' || part.scope as what,
    part.raw
from totals as whole
inner join totals as part on whole.definition_id = part.definition_id and whole.as_of_on = part.as_of_on
where
    whole.scope = 'all'
    and (
        whole.raw <> part.raw
        or whole.met <> part.met
        or whole.breached <> part.breached
        or whole.not_applicable <> part.not_applicable
        or whole.unknown <> part.unknown
    )
union all
select
    'not as the audit counted: ' || cards.definition_id as what,
    cards.raw
from {{ ref('rpt_definition_scorecard') }} as cards
inner join {{ ref('dim_definition') }} as definitions on cards.definition_id = definitions.definition_id
where
    cards.scope = 'all' and cards.is_latest
    and (
        cards.raw is distinct from definitions.raw
        or cards.met is distinct from definitions.met
        or cards.breached is distinct from definitions.breached
        or cards.unknown is distinct from definitions.unknown
    )

{#- What moved the open pipeline, of deals whose states follow each other; two readings of it, reported and evidenced.

`reported_states` and `evidenced_states` end in a CTE `compared` of one row per deal and state: opportunity_id, sales_process, change_no
(and visit_seq), starts_at, ends_at, left_as (what it is called where a deal leaves the pipeline at ends_at and no state follows, else
NULL), stage_name, stage_order, standing (open, won, lost, unmapped), amount, currency_code, amount_corporate, close_on,
is_start_imputed, and previous_standing, previous_stage_name, previous_stage_order, previous_amount, previous_currency_code,
previous_amount_corporate, previous_close_on.

`pipeline_movements` ends a model: one state may move a deal in several ways, and is asked once for each, in one pass. `key_parts`:
columns that name a state beside opportunity_id and change_no. Money is the amount in corporate currency; `held` names a CTE of
currencies whose money may not be told.

Which those are is known after the audit only. So movements are made deal by deal as if none were (int_pipeline_movements,
int_evidenced_movements), and the mart makes those of the few deals that ever knew such a currency once more: `changes_of_held`.
-#}
{% macro pipeline_movements(compared, key_parts=[], held=none) -%}
select
    opportunity_id,
    sales_process,
    change_no,
    {%- for column in key_parts %}
    {{ column }},
    {%- endfor %}
    moved_at,
    cast(date_trunc('week', moved_at) as date) as week_starts_on,
    movement_kind,
    previous_stage_name,
    stage_name,
    count_change,
    cast(case
        when way = 'revised' then coalesce(money, 0) - coalesce(previous_money, 0)
        else count_change * coalesce(money, 0)
    end as decimal(18, 2)) as amount_change_corporate,
    cast(case
        when movement_kind = 'amount_known' then -1
        when movement_kind = 'amount_unknown' then 1
        when money is null then count_change
        else 0
    end as integer) as without_amount_change,
    money as amount_corporate,
    case when way = 'redated' then previous_close_on end as previous_close_on,
    close_on,
    case when way = 'redated' then date_trunc('month', close_on) > date_trunc('month', previous_close_on) end as is_to_a_later_month,
    way <> 'left' and standing = 'open' as is_open_after,
    is_start_imputed
from (
    select
        judged.*,
        ways.way,
        case when ways.way = 'left' then judged.ends_at else judged.starts_at end as moved_at,
        cast(case
            when ways.way = 'left' then -1
            when ways.way <> 'came or left' then 0
            when judged.standing = 'open' then 1
            when judged.previous_standing = 'open' then -1
            else 0
        end as integer) as count_change,
        case ways.way
            when 'came or left' then judged.as_came_or_left
            when 'left' then judged.as_left
            when 'revised' then judged.as_revised
            when 'staged' then judged.as_staged
            else judged.as_redated
        end as movement_kind
    from (
        select
            *,
            case
                when standing = previous_standing then null
                when standing = 'open' and previous_standing is null then 'new'
                when standing = 'open' and previous_standing = 'unmapped' then 'mapped'
                when standing = 'open' then 'reopened'
                when previous_standing = 'open' then standing
                when standing = 'won' then 'won_directly'
                when standing = 'lost' then 'lost_directly'
            end as as_came_or_left,
            case when standing = 'open' then left_as end as as_left,
            case
                when coalesce(previous_standing, '') <> 'open' then null
                when money = previous_money then null
                when money is null and previous_money is null then null
                when previous_money is null then 'amount_known'
                when money is null then 'amount_unknown'
                when amount = previous_amount and coalesce(currency_code, '') = coalesce(previous_currency_code, '') then 'revalued'
                when money > previous_money then 'up'
                else 'down'
            end as as_revised,
            -- among open stages
            case
                when coalesce(previous_standing, '') <> 'open' or standing <> 'open' or stage_name = previous_stage_name then null
                when stage_order > previous_stage_order then 'advanced'
                when stage_order < previous_stage_order then 'back'
                else 'lateral'
            end as as_staged,
            case
                when coalesce(previous_standing, '') <> 'open' or standing <> 'open' or close_on = previous_close_on then null
                when close_on > previous_close_on then 'pushed'
                when close_on < previous_close_on then 'pulled_in'
            end as as_redated
        from (
            select
                compared.*,
                {%- if held %}
                case when held.currency_code is null then compared.amount_corporate end as money,
                case when previously_held.currency_code is null then compared.previous_amount_corporate end as previous_money
            from {{ compared }} as compared
            left join {{ held }} as held on compared.currency_code = held.currency_code
            left join {{ held }} as previously_held on compared.previous_currency_code = previously_held.currency_code
                {%- else %}
                compared.amount_corporate as money,
                compared.previous_amount_corporate as previous_money
            from {{ compared }} as compared
                {%- endif %}
        ) as priced
    ) as judged
    cross join (
        {%- for way in ['came or left', 'left', 'revised', 'staged', 'redated'] %}
        select '{{ way }}' as way{{ ' union all' if not loop.last }}
        {%- endfor %}
    ) as ways
) as moved
where movement_kind is not null
{%- endmacro %}

{#- Of a relation like int_opportunity_changes. -#}
{% macro reported_states(changes) -%}
stages as (
    select
        sales_process,
        stage_name,
        stage_order,
        case when not is_closed then 'open' when is_won then 'won' else 'lost' end as standing
    from {{ ref('stg_control__stage_map') }}
),

compared as (
    select
        changes.opportunity_id,
        changes.sales_process,
        changes.change_no,
        changes.changed_at as starts_at,
        changes.changed_until_at as ends_at,
        case when changes.is_ended_by_deletion then 'deleted' end as left_as,
        changes.stage_name,
        stages.stage_order,
        coalesce(stages.standing, 'unmapped') as standing,
        changes.amount,
        changes.currency_code,
        changes.amount_corporate,
        changes.close_on,
        changes.is_start_imputed,
        changes.previous_stage_name,
        previous_stages.stage_order as previous_stage_order,
        case when changes.previous_stage_name is not null then coalesce(previous_stages.standing, 'unmapped') end as previous_standing,
        changes.previous_amount,
        changes.previous_currency_code,
        changes.previous_amount_corporate,
        changes.previous_close_on
    from {{ changes }} as changes
    left join stages
        on changes.sales_process = stages.sales_process and changes.stage_name = stages.stage_name
    left join stages as previous_stages
        on changes.sales_process = previous_stages.sales_process and changes.previous_stage_name = previous_stages.stage_name
)
{%- endmacro %}

{#- Amount and close date from the history, the stage from the evidence: a deal stands in the pipeline while both are there. Of relations
like int_opportunity_changes and int_evidenced_stage_visits; both are read twice, and DuckDB would keep a CTE that is in memory. -#}
{% macro evidenced_states(changes, evidenced_visits) -%}
{%- set stated = ['amount', 'currency_code', 'amount_corporate', 'close_on'] -%}
-- of the visits that last no time, the last one tells how the deal left the instant
instants as (
    select
        opportunity_id,
        exited_at,
        max_by(exit_kind, visit_seq) as exit_kind
    from {{ evidenced_visits }}
    where entered_at = exited_at
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
    from {{ evidenced_visits }} as visits
    left join instants on visits.opportunity_id = instants.opportunity_id and visits.exited_at = instants.exited_at
    where visits.is_mapped and visits.entered_at < coalesce(visits.exited_at, {{ end_of_time() }})
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
    from {{ changes }}
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
    from {{ changes }} as changes
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
{%- endmacro %}

{#- Whether any currency is held: mostly none is, and then its deals are not even looked for. -#}
{% macro a_currency_is_held() -%}
    {%- set scopes = ref('fct_held_scopes') -%}
    {%- if not execute or load_relation(scopes) is none -%}
    {{ return(true) }}
    {%- endif -%}
    {%- set held = "select count(*) as n from " ~ scopes ~ " where scope = 'currency' and not is_overridden" -%}
    {{ return(run_query(held).columns[0].values()[0] > 0) }}
{%- endmacro %}

{#- CTEs `held`, `deals_of_held` (that ever knew a currency that is held) and `changes_of_held`, rows as of int_opportunity_changes. -#}
{% macro changes_of_held() -%}
{{ held_currencies() }},

deals_of_held as (
    select distinct opportunity_id
    from {{ ref('int_opportunity_history') }}
    where currency_code in (select held.currency_code from held)
),

changes_of_held as (
    select changes.*
    from {{ ref('int_opportunity_changes') }} as changes
    inner join deals_of_held on changes.opportunity_id = deals_of_held.opportunity_id
)
{%- endmacro %}

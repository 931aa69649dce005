{{ config(
    materialized='incremental', incremental_strategy='append', tags=['deal_by_deal'],
    pre_hook=["{{ delete_marked_deals() }}", "{{ joins_as_written() }}"], post_hook="{{ joins_as_estimated() }}"
) }}

{%- set kind_no = "case activity_kind when 'task' then 1 when 'event' then 2 else 3 end" -%}
-- millions of touches are sorted, joined and grouped: deals, stages and kinds by number, told in words again at the end
with stages as (
    select
        stage_name,
        cast(row_number() over (order by stage_name) as smallint) as stage_no
    from (
        select stage_name
        from {{ ref('int_stage_timeline') }}
        where stage_name is not null and {{ is_made_anew('opportunity_id') }}
        union
        select stage_name
        from {{ ref('int_evidenced_stage_timeline') }}
        where {{ is_made_anew('opportunity_id') }}
    ) as names
),

-- one CTE each: of both together, all rows would be kept with their basis, and read twice
{%- for name, visits in (('reported', ref('int_stage_visits')), ('evidenced', ref('int_evidenced_stage_visits'))) %}
{{ name }}_visits as (
    select
        {{ deal_key('visits.opportunity_id') }} as deal_key,
        visits.entered_at,
        coalesce(visits.exited_at, {{ end_of_time() }}) as until_at,
        stages.stage_no
    from {{ visits }} as visits
    inner join stages on visits.stage_name = stages.stage_name
    where {{ is_made_anew('visits.opportunity_id') }}
),
{% endfor %}
-- a turn in one number, so that it is sorted as one: 100 for a touch, ten times the kind, and 1 for a response; below zero, the kind of
-- what may be either
turn_numbers as (
    select
        {{ deal_key('opportunity_id') }} as deal_key,
        occurred_at,
        cast(
            case
                when is_customer_response or direction = 'outbound'
                    then
                        case when direction = 'outbound' then 100 else 0 end
                        + 10 * {{ kind_no }}
                        + case when is_customer_response then 1 else 0 end
                else -({{ kind_no }})
            end as smallint
        ) as turn_no
    from {{ ref('int_activities') }}
    where
        opportunity_id is not null
        and (is_customer_response or direction in ('outbound', 'unknown'))
        and {{ is_made_anew('opportunity_id') }}
),

-- an answer is credited to the last touch before it, as in the ball's rule: of one instant, the touch comes after the answer;
-- a meeting held is a touch and its own answer
turns as (
    select
        deal_key,
        occurred_at,
        turn_no,
        last_value(case when turn_no >= 100 then turn_no end ignore nulls) over so_far as touch_no,
        last_value(case when turn_no >= 100 then occurred_at end ignore nulls) over so_far as touched_at,
        lag(turn_no) over deal as turn_no_before,
        lead(turn_no) over deal is null as is_last
    from turn_numbers
    where turn_no >= 0
    window
        deal as (partition by deal_key order by occurred_at, turn_no),
        so_far as (partition by deal_key order by occurred_at, turn_no rows unbounded preceding)
),

lines as (
    select
        deal_key,
        case when touch_no is null then 0 when touch_no < 120 then 1 when touch_no < 130 then 2 else 3 end as kind_no,
        coalesce(touched_at, occurred_at) as staged_at,
        touched_at,
        turn_no >= 100 as is_touch,
        turn_no % 2 = 1 as is_response,
        -- the first answer after a touch
        turn_no % 2 = 1
        and touched_at is not null
        and (turn_no >= 100 or (turn_no_before >= 100 and turn_no_before % 2 = 0)) as is_answer,
        turn_no >= 100 and is_last and turn_no % 2 = 0 as is_waiting,
        case when turn_no % 2 = 1 then occurred_at end as responded_at
    from turns
    union all
    select
        deal_key,
        -turn_no as kind_no,
        occurred_at as staged_at,
        cast(null as timestamp) as touched_at,
        false as is_touch,
        false as is_response,
        false as is_answer,
        false as is_waiting,
        cast(null as timestamp) as responded_at
    from turn_numbers
    where turn_no < 0
),

staged as (
    select
        lines.deal_key,
        lines.kind_no,
        reported.stage_no,
        evidenced.stage_no as evidenced_stage_no,
        count(case when lines.is_touch then 1 end) as touches,
        count(case when lines.is_answer then 1 end) as touches_answered,
        count(case when lines.is_waiting then 1 end) as touches_waiting,
        count(case when lines.is_response then 1 end) as responses,
        count(case when not lines.is_touch and not lines.is_response then 1 end) as n_unknown_direction,
        max(lines.touched_at) as last_touch_at,
        max(lines.responded_at) as last_response_at
    from lines
    left join reported_visits as reported
        on
            lines.deal_key = reported.deal_key
            and lines.staged_at >= reported.entered_at
            and lines.staged_at < reported.until_at
    left join evidenced_visits as evidenced
        on
            lines.deal_key = evidenced.deal_key
            and lines.staged_at >= evidenced.entered_at
            and lines.staged_at < evidenced.until_at
    group by lines.deal_key, lines.kind_no, reported.stage_no, evidenced.stage_no
)

select
    deals.opportunity_id,
    reported.stage_name,
    evidenced.stage_name as evidenced_stage_name,
    case staged.kind_no when 0 then 'unprompted' when 1 then 'task' when 2 then 'event' else 'email' end as activity_kind,
    staged.touches,
    staged.touches_answered,
    staged.touches_waiting,
    staged.responses,
    staged.n_unknown_direction,
    staged.last_touch_at,
    staged.last_response_at
from staged
inner join {{ ref('int_opportunities') }} as deals on staged.deal_key = {{ deal_key('deals.opportunity_id') }}
left join stages as reported on staged.stage_no = reported.stage_no
left join stages as evidenced on staged.evidenced_stage_no = evidenced.stage_no
where {{ is_made_anew('deals.opportunity_id') }}

{{ config(
    materialized='incremental', incremental_strategy='append', tags=['deal_by_deal'],
    pre_hook=["{{ delete_marked_deals() }}", "{{ increments_as_written() }}"], post_hook="{{ joins_as_estimated() }}"
) }}

-- millions of visits are joined and grouped: deals and stages by number; a stage is told in words again at the end
with stages as (
    select
        stage_name,
        cast(row_number() over (order by stage_name) as integer) as stage_no
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

{% for basis, visits in (('reported', ref('int_stage_visits')), ('defined', ref('int_evidenced_stage_visits'))) -%}
{{ basis }} as (
    select
        {{ deal_key('visits.opportunity_id') }} as deal_key,
        visits.visit_seq,
        stages.stage_no,
        visits.stage_order,
        visits.entered_at,
        visits.exited_at is null as is_standing,
        coalesce(visits.exited_at = visits.entered_at, false) as has_no_length,
        coalesce(visits.exited_at, {{ end_of_time() }}) as until_at
    from {{ visits }} as visits
    inner join stages on visits.stage_name = stages.stage_name
    where {{ is_made_anew('visits.opportunity_id') }}
),

{% endfor -%}
-- a visit without length holds one instant, and so does what was evidenced then
met as (
    select
        visits.deal_key,
        visits.visit_seq,
        evidenced.stage_no,
        evidenced.stage_no = visits.stage_no as is_same,
        evidenced.entered_at <= visits.entered_at
        and (evidenced.is_standing or evidenced.until_at > visits.entered_at or visits.has_no_length) as is_at_entry,
        case
            when visits.is_standing then evidenced.is_standing
            when visits.has_no_length then true
            else evidenced.entered_at < visits.until_at and (evidenced.is_standing or evidenced.until_at >= visits.until_at)
        end as is_at_end,
        visits.is_standing and evidenced.is_standing as is_running,
        greatest(visits.entered_at, evidenced.entered_at) as from_at,
        least(visits.until_at, evidenced.until_at) as until_at
    from reported as visits
    inner join defined as evidenced
        on
            visits.deal_key = evidenced.deal_key
            and visits.until_at >= evidenced.entered_at
            and visits.entered_at <= evidenced.until_at
            and (visits.stage_no = evidenced.stage_no or visits.stage_order > evidenced.stage_order)
),

-- the stage itself comes before the others: its number is raised above theirs; what runs on grows with every day, and is told by its start
found as (
    select
        deal_key,
        visit_seq,
        max(case when is_at_entry then stage_no + case when is_same then 1000000 else 0 end end) % 1000000 as stage_no_at_entry,
        max(case when is_at_end then stage_no + case when is_same then 1000000 else 0 end end) % 1000000 as stage_no_at_end,
        sum(case when is_same and not is_running then {{ elapsed_microseconds('from_at', 'until_at') }} else 0 end) as microseconds_same,
        sum(case when is_same or is_running then 0 else {{ elapsed_microseconds('from_at', 'until_at') }} end) as microseconds_earlier,
        max(case when is_running and is_same then from_at end) as same_since,
        max(case when is_running and not is_same then from_at end) as earlier_since
    from met
    group by deal_key, visit_seq
)

select
    visits.opportunity_id,
    visits.sales_process,
    visits.visit_seq,
    visits.stage_name,
    visits.entered_at,
    visits.exited_at,
    visits.exit_kind,
    visits.is_mapped,
    visits.is_closed_stage,
    visits.is_first_entry,
    visits.is_left_truncated,
    visits.is_start_imputed,
    at_entry.stage_name as evidenced_stage_at_entry,
    at_end.stage_name as evidenced_stage_at_end,
    cast(coalesce(found.microseconds_same, 0) as bigint) as microseconds_same,
    cast(coalesce(found.microseconds_earlier, 0) as bigint) as microseconds_earlier,
    found.same_since,
    found.earlier_since
from {{ ref('int_stage_visits') }} as visits
left join found on {{ deal_key('visits.opportunity_id') }} = found.deal_key and visits.visit_seq = found.visit_seq
left join stages as at_entry on found.stage_no_at_entry = at_entry.stage_no
left join stages as at_end on found.stage_no_at_end = at_end.stage_no
where {{ is_made_anew('visits.opportunity_id') }}

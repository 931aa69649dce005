with run as (
    select as_of from {{ ref('stg_control__run') }}
),

-- millions of visits are joined and grouped: deals and stages by number; a stage is told in words again at the end
stages as (
    select
        stage_name,
        cast(row_number() over (order by stage_name) as integer) as stage_no
    from {{ ref('fct_stage_visits') }}
    group by stage_name
),

{% for basis in ['reported', 'defined'] -%}
{{ basis }} as (
    select
        {{ deal_key('visits.opportunity_id') }} as deal_key,
        visits.visit_seq,
        stages.stage_no,
        visits.stage_order,
        visits.entered_at,
        visits.exited_at is null as is_standing,
        coalesce(visits.exited_at = visits.entered_at, false) as has_no_length,
        coalesce(visits.exited_at, run.as_of) as until_at
    from {{ ref('fct_stage_visits') }} as visits
    inner join stages on visits.stage_name = stages.stage_name
    cross join run
    where visits.basis = '{{ basis }}'
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
        {{ elapsed_microseconds(
            'greatest(visits.entered_at, evidenced.entered_at)',
            'least(visits.until_at, evidenced.until_at)'
        ) }} as microseconds
    from reported as visits
    inner join defined as evidenced
        on
            visits.deal_key = evidenced.deal_key
            and visits.until_at >= evidenced.entered_at
            and visits.entered_at <= evidenced.until_at
            and (visits.stage_no = evidenced.stage_no or visits.stage_order > evidenced.stage_order)
),

-- the stage itself comes before the others: its number is raised above theirs
found as (
    select
        deal_key,
        visit_seq,
        max(case when is_at_entry then stage_no + case when is_same then 1000000 else 0 end end) % 1000000 as stage_no_at_entry,
        max(case when is_at_end then stage_no + case when is_same then 1000000 else 0 end end) % 1000000 as stage_no_at_end,
        sum(case when is_same then microseconds else 0 end) as microseconds_same,
        sum(case when is_same then 0 else microseconds end) as microseconds_earlier
    from met
    group by deal_key, visit_seq
),

set_aside as (
    select {{ deal_key('opportunity_id') }} as deal_key
    from {{ ref('fct_opportunities') }}
    where is_set_aside
)

select
    visits.visit_key,
    visits.opportunity_id,
    visits.sales_process,
    visits.stage_name,
    at_entry.stage_name as evidenced_stage_at_entry,
    {{ evidenced_part('set_aside.deal_key is not null', 'visits.stage_name', 'at_entry.stage_name') }} as evidenced_at_entry,
    at_end.stage_name as evidenced_stage_at_end,
    {{ evidenced_part('set_aside.deal_key is not null', 'visits.stage_name', 'at_end.stage_name') }} as evidenced_at_end,
    {{ exact_seconds('visits.entered_at', 'coalesce(visits.exited_at, run.as_of)') }} as seconds,
    cast(coalesce(found.microseconds_same, 0) * 0.000001 as decimal(28, 6)) as seconds_same,
    cast(coalesce(found.microseconds_earlier, 0) * 0.000001 as decimal(28, 6)) as seconds_earlier
from {{ ref('fct_stage_visits') }} as visits
cross join run
left join set_aside on {{ deal_key('visits.opportunity_id') }} = set_aside.deal_key
left join found on {{ deal_key('visits.opportunity_id') }} = found.deal_key and visits.visit_seq = found.visit_seq
left join stages as at_entry on found.stage_no_at_entry = at_entry.stage_no
left join stages as at_end on found.stage_no_at_end = at_end.stage_no
where visits.basis = 'reported'

with run as (
    select as_of from {{ ref('stg_control__run') }}
),

visits as (
    select
        visits.visit_key,
        visits.opportunity_id,
        visits.sales_process,
        visits.stage_name,
        visits.stage_order,
        visits.entered_at,
        visits.exited_at,
        visits.exited_at is null as is_standing,
        coalesce(visits.exited_at = visits.entered_at, false) as has_no_length,
        coalesce(visits.exited_at, run.as_of) as until_at
    from {{ ref('fct_stage_visits') }} as visits
    cross join run
    where visits.basis = 'reported'
),

evidenced as (
    select
        visits.opportunity_id,
        visits.stage_name,
        visits.stage_order,
        visits.entered_at,
        visits.exited_at is null as is_standing,
        coalesce(visits.exited_at, run.as_of) as until_at
    from {{ ref('fct_stage_visits') }} as visits
    cross join run
    where visits.basis = 'defined'
),

-- a visit without length holds one instant, and so does what was evidenced then
met as (
    select
        visits.visit_key,
        evidenced.stage_name,
        evidenced.stage_name = visits.stage_name as is_same,
        evidenced.entered_at <= visits.entered_at
        and (evidenced.is_standing or evidenced.until_at > visits.entered_at or visits.has_no_length) as is_at_entry,
        case
            when visits.is_standing then evidenced.is_standing
            when visits.has_no_length then true
            else evidenced.entered_at < visits.until_at and (evidenced.is_standing or evidenced.until_at >= visits.until_at)
        end as is_at_end,
        {{ exact_seconds(
            'greatest(visits.entered_at, evidenced.entered_at)',
            'least(visits.until_at, evidenced.until_at)'
        ) }} as seconds
    from visits
    inner join evidenced
        on
            visits.opportunity_id = evidenced.opportunity_id
            and visits.until_at >= evidenced.entered_at
            and visits.entered_at <= evidenced.until_at
            and (visits.stage_name = evidenced.stage_name or visits.stage_order > evidenced.stage_order)
),

found as (
    select
        visit_key,
        coalesce(
            max(case when is_at_entry and is_same then stage_name end), max(case when is_at_entry then stage_name end)
        ) as stage_at_entry,
        coalesce(max(case when is_at_end and is_same then stage_name end), max(case when is_at_end then stage_name end))
            as stage_at_end,
        sum(case when is_same then seconds else 0 end) as seconds_same,
        sum(case when is_same then 0 else seconds end) as seconds_earlier
    from met
    group by visit_key
)

select
    visits.visit_key,
    visits.opportunity_id,
    visits.sales_process,
    visits.stage_name,
    found.stage_at_entry as evidenced_stage_at_entry,
    {{ evidenced_part('deals.is_set_aside', 'visits.stage_name', 'found.stage_at_entry') }} as evidenced_at_entry,
    found.stage_at_end as evidenced_stage_at_end,
    {{ evidenced_part('deals.is_set_aside', 'visits.stage_name', 'found.stage_at_end') }} as evidenced_at_end,
    {{ exact_seconds('visits.entered_at', 'visits.until_at') }} as seconds,
    cast(coalesce(found.seconds_same, 0) as decimal(28, 6)) as seconds_same,
    cast(coalesce(found.seconds_earlier, 0) as decimal(28, 6)) as seconds_earlier
from visits
inner join {{ ref('fct_opportunities') }} as deals on visits.opportunity_id = deals.opportunity_id
left join found on visits.visit_key = found.visit_key

with run as (
    select as_of from {{ ref('dim_run') }}
),

deals as (
    select * from {{ ref('fct_opportunities') }}
    where not is_deleted
),

seconds as (
    select
        visits.visit_id,
        max({{ exact_seconds('visits.entered_at', 'coalesce(visits.exited_at, run.as_of)') }}) as reported,
        sum(case when evidenced.stage_name = visits.stage_name then {{ exact_seconds(
            'greatest(visits.entered_at, evidenced.entered_at)',
            'least(coalesce(visits.exited_at, run.as_of), coalesce(evidenced.exited_at, run.as_of))'
        ) }} else 0 end) as same,
        sum(case when evidenced.stage_name <> visits.stage_name then {{ exact_seconds(
            'greatest(visits.entered_at, evidenced.entered_at)',
            'least(coalesce(visits.exited_at, run.as_of), coalesce(evidenced.exited_at, run.as_of))'
        ) }} else 0 end) as earlier
    from {{ ref('fct_stage_visits') }} as visits
    cross join run
    left join {{ ref('fct_stage_visits') }} as evidenced
        on
            visits.opportunity_id = evidenced.opportunity_id
            and evidenced.basis = 'defined'
            and evidenced.entered_at < coalesce(visits.exited_at, run.as_of)
            and coalesce(evidenced.exited_at, run.as_of) > visits.entered_at
    where visits.basis = 'reported' and not coalesce(visits.is_closed_stage, false)
    group by visits.visit_id
),

parts as (
    select 'same' as evidenced_in
    union all
    select 'earlier' as evidenced_in
    union all
    select 'none' as evidenced_in
),

lines as (
    select
        'deals' as figure,
        sales_process,
        stage_name,
        evidenced_in,
        cast(1 as decimal(28, 6)) as amount_of
    from deals
    union all
    select
        'amount_corporate' as figure,
        sales_process,
        stage_name,
        evidenced_in,
        cast(amount_corporate as decimal(28, 6)) as amount_of
    from deals
    union all
    select
        'stage_seconds' as figure,
        visits.sales_process,
        visits.stage_name,
        case when deals.is_set_aside then 'set aside' else parts.evidenced_in end as evidenced_in,
        cast(case parts.evidenced_in
            when 'same' then seconds.same
            when 'earlier' then seconds.earlier
            else seconds.reported - seconds.same - seconds.earlier
        end as decimal(28, 6)) as amount_of
    from {{ ref('fct_stage_visits') }} as visits
    inner join deals on visits.opportunity_id = deals.opportunity_id
    inner join seconds on visits.visit_id = seconds.visit_id
    cross join parts
    where visits.basis = 'reported'
)

select
    figure,
    sales_process,
    stage_name,
    cast(coalesce(sum(amount_of), 0) as decimal(28, 6)) as reported,
    cast(coalesce(sum(case when evidenced_in = 'same' then amount_of end), 0) as decimal(28, 6)) as evidenced_same,
    cast(coalesce(sum(case when evidenced_in = 'earlier' then amount_of end), 0) as decimal(28, 6)) as evidenced_earlier,
    cast(coalesce(sum(case when evidenced_in = 'none' then amount_of end), 0) as decimal(28, 6)) as evidenced_none,
    cast(coalesce(sum(case when evidenced_in = 'set aside' then amount_of end), 0) as decimal(28, 6)) as set_aside,
    cast(sum(case when amount_of is null then 1 else 0 end) as bigint) as n_unknown
from lines
group by figure, sales_process, stage_name

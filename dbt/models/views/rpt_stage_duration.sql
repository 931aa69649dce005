with run as (
    select
        as_of,
        minimum_n
    from {{ ref('dim_run') }}
),

-- millions of visits are sorted: by one number for basis, process and stage
lines as (
    select
        basis,
        sales_process,
        stage_name,
        cast(row_number() over (order by basis, sales_process, stage_name) as integer) as line_no
    from {{ ref('fct_stage_visits') }}
    where is_mapped
    group by basis, sales_process, stage_name
),

observations as (
    select
        lines.line_no,
        visits.stage_order,
        visits.days_in_stage as duration_days,
        cast(case when visits.exit_kind not in ('open', 'deleted', 'merged') then 1 end as smallint) as exit_kind,
        visits.exit_kind = 'open' as is_still_open
    from {{ ref('fct_stage_visits') }} as visits
    inner join lines
        on visits.basis = lines.basis and visits.sales_process = lines.sales_process and visits.stage_name = lines.stage_name
    where visits.is_mapped and not visits.is_closed_stage and not visits.is_start_imputed
),

closed as (
    select
        line_no,
        min(stage_order) as stage_order,
        count(*) as n_visits,
        count(exit_kind) as n_closed,
        sum(case when is_still_open then 1 else 0 end) as n_open,
        {{ percentile('case when exit_kind is not null then duration_days end', 0.5) }} as p50,
        {{ percentile('case when exit_kind is not null then duration_days end', 0.85) }} as p85,
        {{ percentile('case when exit_kind is not null then duration_days end', 0.95) }} as p95
    from observations
    group by line_no
),

life as (
    {{ life_table('observations', ['line_no']) }}
),

quantiles as (
    select
        line_no,
        {{ survival_quantile(0.5) }} as km_p50,
        {{ survival_quantile_bound(0.5, true) }} as km_p50_lower,
        {{ survival_quantile_bound(0.5, false) }} as km_p50_upper,
        {{ survival_quantile(0.85) }} as km_p85,
        {{ survival_quantile(0.95) }} as km_p95
    from life
    group by line_no
)

select
    lines.basis,
    lines.sales_process,
    lines.stage_name,
    closed.stage_order,
    cast(closed.n_visits as bigint) as n_visits,
    cast(closed.n_closed as bigint) as n_closed,
    cast(closed.n_open as bigint) as n_open,
    cast(closed.n_visits - closed.n_closed - closed.n_open as bigint) as n_deleted,
    case when closed.n_closed >= run.minimum_n then closed.p50 end as closed_p50_days,
    case when closed.n_closed >= run.minimum_n then closed.p85 end as closed_p85_days,
    case when closed.n_closed >= run.minimum_n then closed.p95 end as closed_p95_days,
    case when closed.n_visits >= run.minimum_n then quantiles.km_p50 end as km_p50_days,
    case when closed.n_visits >= run.minimum_n then quantiles.km_p50_lower end as km_p50_lower_days,
    case when closed.n_visits >= run.minimum_n then quantiles.km_p50_upper end as km_p50_upper_days,
    case when closed.n_visits >= run.minimum_n then quantiles.km_p85 end as km_p85_days,
    case when closed.n_visits >= run.minimum_n then quantiles.km_p95 end as km_p95_days,
    case when closed.n_closed >= run.minimum_n then 'ok' else 'too few' end as reads,
    run.as_of
from closed
cross join run
inner join lines on closed.line_no = lines.line_no
inner join quantiles on closed.line_no = quantiles.line_no

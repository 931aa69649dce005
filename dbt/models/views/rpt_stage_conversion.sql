{#- Ways out of a stage, each with the exits that count as it. -#}
{%- set exits = {
    'advanced': ['advanced'], 'back': ['back'], 'lateral': ['lateral'], 'won': ['won'], 'lost': ['lost'],
    'won_without_evidence': ['won_without_evidence'], 'onward': ['advanced', 'won']
} -%}
with run as (
    select
        as_of,
        conversion_days,
        minimum_n
    from {{ ref('dim_run') }}
),

-- millions of visits are grouped and sorted: by whole numbers, which is told in words again at the end
stages as (
    select
        sales_process,
        stage_name,
        row_number() over (order by sales_process, stage_name) as stage_no
    from {{ ref('fct_stage_visits') }}
    where is_mapped
    group by sales_process, stage_name
),

first_entries as (
    select
        2 * stages.stage_no + case when visits.basis = 'defined' then 1 else 0 end as line_no,
        visits.stage_order,
        cast(10 * extract(year from visits.entered_at) + extract(quarter from visits.entered_at) as integer) as quarter_no,
        visits.days_in_stage as duration_days,
        case when visits.exit_kind not in ('open', 'deleted', 'merged') then visits.exit_kind end as exit_kind,
        visits.exit_kind = 'open' as is_still_open,
        visits.exit_kind in ('deleted', 'merged') as is_deleted,
        visits.is_left_truncated or visits.is_start_imputed as is_left_out,
        {{ elapsed_days('visits.entered_at', 'run.as_of') }} >= run.conversion_days as is_mature,
        visits.days_in_stage <= run.conversion_days as is_within
    from {{ ref('fct_stage_visits') }} as visits
    inner join stages on visits.sales_process = stages.sales_process and visits.stage_name = stages.stage_name
    cross join run
    where visits.is_first_entry and visits.is_mapped and not visits.is_closed_stage
),

entries as (
    select
        first_entries.*,
        0 as cohort_no
    from first_entries
    union all
    select
        first_entries.*,
        first_entries.quarter_no as cohort_no
    from first_entries
),

observations as (
    select *
    from entries
    where not is_left_out
),

groups as (
    select
        line_no,
        cohort_no,
        min(stage_order) as stage_order,
        sum(case when not is_left_out then 1 else 0 end) as n_entered,
        sum(case when not is_left_out and is_mature then 1 else 0 end) as n_mature,
        sum(case when not is_left_out and not is_mature then 1 else 0 end) as n_immature,
        sum(case when not is_left_out and is_still_open then 1 else 0 end) as n_open,
        sum(case when not is_left_out and is_deleted then 1 else 0 end) as n_deleted,
        sum(case when not is_left_out and is_mature and is_deleted and is_within then 1 else 0 end) as n_deleted_within,
        sum(case when is_left_out then 1 else 0 end) as n_left_truncated,
        sum(case when not is_left_out and exit_kind is not null then 1 else 0 end) as n_resolved,
        max(case when not is_left_out then duration_days end) as longest_days
    from entries
    group by line_no, cohort_no
),

counted as (
    select
        line_no,
        cohort_no,
        exit_kind,
        count(*) as n_exits_ever,
        sum(case when is_mature and is_within then 1 else 0 end) as n_exits
    from observations
    where exit_kind is not null
    group by line_no, cohort_no, exit_kind
),

life as (
    {{ competing_life_table('observations', ['line_no', 'cohort_no'], exits) }}
),

incidence as (
    {{ competing_incidence('life', ['line_no', 'cohort_no'], exits) }}
),

ever as (
    {{ competing_ends('incidence', ['line_no', 'cohort_no'], exits, none) }}
),

within as (
    {{ competing_ends('incidence', ['line_no', 'cohort_no'], exits, '(select conversion_days from run)') }}
),

varied as (
    {{ competing_variance('incidence', 'within', ['line_no', 'cohort_no'], exits, '(select conversion_days from run)') }}
),

by_kind as (
    {%- for kind, counts_as in exits.items() %}
    select
        groups.line_no,
        groups.cohort_no,
        '{{ kind }}' as exit_kind,
        coalesce(sum(counted.n_exits), 0) as n_exits,
        coalesce(sum(counted.n_exits_ever), 0) as n_exits_ever,
        coalesce(max(within.{{ kind }}_share), 0) as incidence_within,
        coalesce(max(varied.{{ kind }}_variance), 0) as variance_within,
        coalesce(max(ever.{{ kind }}_share), 0) as incidence_ever,
        coalesce(max(within.survival), 1.0) as survival_at_days,
        coalesce(max(ever.survival), 1.0) as survival_end
    from groups
    left join counted
        on
            groups.line_no = counted.line_no
            and groups.cohort_no = counted.cohort_no
            and counted.exit_kind in ('{{ counts_as | join("', '") }}')
    left join within on groups.line_no = within.line_no and groups.cohort_no = within.cohort_no
    left join varied on groups.line_no = varied.line_no and groups.cohort_no = varied.cohort_no
    left join ever on groups.line_no = ever.line_no and groups.cohort_no = ever.cohort_no
    group by groups.line_no, groups.cohort_no
    {{ 'union all' if not loop.last }}
    {%- endfor %}
),

put_together as (
    select
        groups.*,
        case when groups.line_no % 2 = 1 then 'defined' else 'reported' end as basis,
        stages.sales_process,
        case
            when groups.cohort_no = 0 then 'all'
            else
                substr(cast(groups.cohort_no as {{ dbt.type_string() }}), 1, 4)
                || '-Q'
                || substr(cast(groups.cohort_no as {{ dbt.type_string() }}), 5, 1)
        end as cohort,
        stages.stage_name,
        by_kind.exit_kind,
        by_kind.n_exits,
        by_kind.n_exits_ever,
        groups.n_mature - groups.n_deleted_within as n_rate,
        by_kind.incidence_within,
        by_kind.variance_within,
        by_kind.incidence_ever,
        by_kind.survival_at_days,
        -- F says nothing of times that nobody was watched for, unless everybody has left
        groups.longest_days >= run.conversion_days or by_kind.survival_end <= 1e-12 as is_watched_long_enough,
        run.minimum_n,
        run.conversion_days,
        run.as_of
    from groups
    inner join by_kind on groups.line_no = by_kind.line_no and groups.cohort_no = by_kind.cohort_no
    inner join stages on groups.line_no - groups.line_no % 2 = 2 * stages.stage_no
    cross join run
)

select
    basis,
    sales_process,
    cohort,
    stage_name,
    stage_order,
    exit_kind,
    conversion_days,
    cast(n_entered as bigint) as n_entered,
    cast(n_mature as bigint) as n_mature,
    cast(n_immature as bigint) as n_immature,
    cast(n_open as bigint) as n_open,
    cast(n_deleted as bigint) as n_deleted,
    cast(n_deleted_within as bigint) as n_deleted_within,
    cast(n_left_truncated as bigint) as n_left_truncated,
    cast(n_exits as bigint) as n_exits,
    cast(n_exits_ever as bigint) as n_exits_ever,
    cast(n_rate as bigint) as n_rate,
    case when n_rate >= minimum_n then cast(n_exits as double) / n_rate end as rate_within_days,
    case when n_rate >= minimum_n then {{ wilson_bound('n_exits', 'n_rate', '-') }} end as rate_lower,
    case when n_rate >= minimum_n then {{ wilson_bound('n_exits', 'n_rate', '+') }} end as rate_upper,
    case when n_entered >= minimum_n and is_watched_long_enough then incidence_within end as incidence_within_days,
    case when n_entered >= minimum_n and is_watched_long_enough then {{ log_log_bound('incidence_within', 'variance_within', true) }} end
        as incidence_lower,
    case when n_entered >= minimum_n and is_watched_long_enough then {{ log_log_bound('incidence_within', 'variance_within', false) }} end
        as incidence_upper,
    case when n_entered >= minimum_n then incidence_ever end as incidence_at_longest,
    case when n_entered >= minimum_n and is_watched_long_enough then survival_at_days end as still_there_share,
    longest_days,
    case when n_resolved >= minimum_n then cast(n_exits_ever as double) / n_resolved end as naive_ratio,
    case
        when n_entered < minimum_n then 'too few'
        when n_rate < minimum_n and n_immature > 0 then 'immature'
        when n_rate < minimum_n then 'too few'
        else 'ok'
    end as reads,
    as_of
from put_together

with run as (
    select
        as_of,
        conversion_days,
        minimum_n
    from {{ ref('dim_run') }}
),

first_entries as (
    select
        visits.basis,
        visits.sales_process,
        visits.stage_name,
        visits.stage_order,
        cast(extract(year from visits.entered_at) as {{ dbt.type_string() }}) || '-Q'
        || cast(extract(quarter from visits.entered_at) as {{ dbt.type_string() }}) as quarter,
        visits.days_in_stage as duration_days,
        case when visits.exit_kind not in ('open', 'deleted', 'merged') then visits.exit_kind end as exit_kind,
        visits.exit_kind = 'open' as is_still_open,
        visits.exit_kind in ('deleted', 'merged') as is_deleted,
        visits.is_left_truncated or visits.is_start_imputed as is_left_out,
        {{ elapsed_days('visits.entered_at', 'run.as_of') }} >= run.conversion_days as is_mature,
        visits.days_in_stage <= run.conversion_days as is_within
    from {{ ref('fct_stage_visits') }} as visits
    cross join run
    where visits.is_first_entry and visits.is_mapped and not visits.is_closed_stage
),

entries as (
    select
        first_entries.*,
        'all' as cohort
    from first_entries
    union all
    select
        first_entries.*,
        first_entries.quarter as cohort
    from first_entries
),

observations as (
    select *
    from entries
    where not is_left_out
),

groups as (
    select
        entries.basis,
        entries.sales_process,
        entries.cohort,
        entries.stage_name,
        min(entries.stage_order) as stage_order,
        sum(case when not entries.is_left_out then 1 else 0 end) as n_entered,
        sum(case when not entries.is_left_out and entries.is_mature then 1 else 0 end) as n_mature,
        sum(case when not entries.is_left_out and not entries.is_mature then 1 else 0 end) as n_immature,
        sum(case when not entries.is_left_out and entries.is_still_open then 1 else 0 end) as n_open,
        sum(case when not entries.is_left_out and entries.is_deleted then 1 else 0 end) as n_deleted,
        sum(case when not entries.is_left_out and entries.is_mature and entries.is_deleted and entries.is_within then 1 else 0 end)
            as n_deleted_within,
        sum(case when entries.is_left_out then 1 else 0 end) as n_left_truncated,
        sum(case when not entries.is_left_out and entries.exit_kind is not null then 1 else 0 end) as n_resolved,
        max(case when not entries.is_left_out then entries.duration_days end) as longest_days
    from entries
    group by entries.basis, entries.sales_process, entries.cohort, entries.stage_name
),

kinds as (
    {%- for kind in ['advanced', 'back', 'lateral', 'won', 'lost', 'won_without_evidence', 'onward'] %}
    select '{{ kind }}' as exit_kind{{ ' union all' if not loop.last }}
    {%- endfor %}
),

-- advanced and won once more as one kind: what "onward" counts
exits as (
    select
        basis,
        sales_process,
        cohort,
        stage_name,
        exit_kind,
        duration_days,
        is_mature,
        is_within
    from observations
    where exit_kind is not null
    union all
    select
        basis,
        sales_process,
        cohort,
        stage_name,
        'onward' as exit_kind,
        duration_days,
        is_mature,
        is_within
    from observations
    where exit_kind in ('advanced', 'won')
),

counted as (
    select
        basis,
        sales_process,
        cohort,
        stage_name,
        exit_kind,
        count(*) as n_exits_ever,
        sum(case when is_mature and is_within then 1 else 0 end) as n_exits
    from exits
    group by basis, sales_process, cohort, stage_name, exit_kind
),

life as (
    {{ life_table('observations', ['basis', 'sales_process', 'cohort', 'stage_name']) }}
),

life_ends as (
    select
        basis,
        sales_process,
        cohort,
        stage_name,
        min(survival) as survival_end
    from life
    group by basis, sales_process, cohort, stage_name
),

survival_within as (
    select
        life.basis,
        life.sales_process,
        life.cohort,
        life.stage_name,
        min(life.survival) as survival_at_days
    from life
    cross join run
    where life.duration_days <= run.conversion_days
    group by life.basis, life.sales_process, life.cohort, life.stage_name
),

at_duration as (
    select
        basis,
        sales_process,
        cohort,
        stage_name,
        exit_kind,
        duration_days,
        count(*) as kind_leavers
    from exits
    group by basis, sales_process, cohort, stage_name, exit_kind, duration_days
),

-- every duration of the group for every kind that occurs: the variance also sums over the leaving of other kinds
leavers_by_kind as (
    select
        life.basis,
        life.sales_process,
        life.cohort,
        life.stage_name,
        life.duration_days,
        counted.exit_kind,
        coalesce(at_duration.kind_leavers, 0) as kind_leavers
    from life
    inner join counted
        on
            life.basis = counted.basis
            and life.sales_process = counted.sales_process
            and life.cohort = counted.cohort
            and life.stage_name = counted.stage_name
    left join at_duration
        on
            life.basis = at_duration.basis
            and life.sales_process = at_duration.sales_process
            and life.cohort = at_duration.cohort
            and life.stage_name = at_duration.stage_name
            and life.duration_days = at_duration.duration_days
            and counted.exit_kind = at_duration.exit_kind
    where life.leavers > 0
),

incidence as (
    {{ cumulative_incidence('life', 'leavers_by_kind', ['basis', 'sales_process', 'cohort', 'stage_name']) }}
),

within as (
    {{ incidence_at('incidence', ['basis', 'sales_process', 'cohort', 'stage_name'], '(select conversion_days from run)') }}
),

ever as (
    {{ incidence_at('incidence', ['basis', 'sales_process', 'cohort', 'stage_name'], none) }}
),

put_together as (
    select
        groups.*,
        kinds.exit_kind,
        coalesce(counted.n_exits, 0) as n_exits,
        coalesce(counted.n_exits_ever, 0) as n_exits_ever,
        groups.n_mature - groups.n_deleted_within as n_rate,
        coalesce(within.incidence, 0) as incidence_within,
        coalesce(within.variance, 0) as variance_within,
        coalesce(ever.incidence, 0) as incidence_ever,
        coalesce(survival_within.survival_at_days, 1.0) as survival_at_days,
        -- F says nothing of times that nobody was watched for, unless everybody has left
        groups.longest_days >= run.conversion_days or coalesce(life_ends.survival_end, 1) <= 1e-12 as is_watched_long_enough,
        run.minimum_n,
        run.conversion_days,
        run.as_of
    from groups
    cross join kinds
    cross join run
    left join counted
        on
            groups.basis = counted.basis
            and groups.sales_process = counted.sales_process
            and groups.cohort = counted.cohort
            and groups.stage_name = counted.stage_name
            and kinds.exit_kind = counted.exit_kind
    left join within
        on
            groups.basis = within.basis
            and groups.sales_process = within.sales_process
            and groups.cohort = within.cohort
            and groups.stage_name = within.stage_name
            and kinds.exit_kind = within.exit_kind
    left join ever
        on
            groups.basis = ever.basis
            and groups.sales_process = ever.sales_process
            and groups.cohort = ever.cohort
            and groups.stage_name = ever.stage_name
            and kinds.exit_kind = ever.exit_kind
    left join life_ends
        on
            groups.basis = life_ends.basis
            and groups.sales_process = life_ends.sales_process
            and groups.cohort = life_ends.cohort
            and groups.stage_name = life_ends.stage_name
    left join survival_within
        on
            groups.basis = survival_within.basis
            and groups.sales_process = survival_within.sales_process
            and groups.cohort = survival_within.cohort
            and groups.stage_name = survival_within.stage_name
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

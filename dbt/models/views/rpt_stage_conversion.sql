{#- Ways out of a stage, by number, and what counts as each of those that are told: the last is of two. -#}
{%- set exit_kinds = ['advanced', 'back', 'lateral', 'won', 'lost', 'won_without_evidence'] -%}
{%- set told_kinds = exit_kinds + ['onward'] -%}
{%- set exits = [[0], [1], [2], [3], [4], [5], [0, 3]] -%}
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
        cast(2 * stages.stage_no + case when visits.basis = 'defined' then 1 else 0 end as integer) as line_no,
        visits.stage_order,
        cast(10 * extract(year from visits.entered_at) + extract(quarter from visits.entered_at) as integer) as quarter_no,
        visits.days_in_stage as duration_days,
        case visits.exit_kind
            {%- for kind in exit_kinds %}
            when '{{ kind }}' then {{ loop.index0 }}
            {%- endfor %}
        end as exit_no,
        visits.exit_kind = 'open' as is_still_open,
        visits.is_left_truncated or visits.is_start_imputed as is_left_out,
        {{ elapsed_days('visits.entered_at', 'run.as_of') }} >= run.conversion_days as is_mature,
        visits.days_in_stage <= run.conversion_days as is_within
    from {{ ref('fct_stage_visits') }} as visits
    inner join stages on visits.sales_process = stages.sales_process and visits.stage_name = stages.stage_name
    cross join run
    where visits.is_first_entry and visits.is_mapped and not visits.is_closed_stage
),

-- every count is summed from here; group_no: basis, process and stage, and the quarter of entry, 0 for all of them
quarter_cells as (
    select
        line_no,
        quarter_no,
        exit_no,
        is_still_open,
        is_left_out,
        is_mature,
        is_within,
        min(stage_order) as stage_order,
        max(duration_days) as longest_days,
        count(*) as n
    from first_entries
    group by line_no, quarter_no, exit_no, is_still_open, is_left_out, is_mature, is_within
),

cells as (
    select
        quarter_cells.*,
        quarter_cells.exit_no is null and not quarter_cells.is_still_open as is_deleted,
        100000 * quarter_cells.line_no as group_no
    from quarter_cells
    union all
    select
        quarter_cells.*,
        quarter_cells.exit_no is null and not quarter_cells.is_still_open as is_deleted,
        100000 * quarter_cells.line_no + quarter_cells.quarter_no as group_no
    from quarter_cells
),

observations as (
    {%- for cohort_no in ['0', 'quarter_no'] %}
    select
        100000 * line_no + {{ cohort_no }} as group_no,
        duration_days,
        exit_no
    from first_entries
    where not is_left_out
    {{ 'union all' if not loop.last }}
    {%- endfor %}
),

groups as (
    select
        group_no,
        min(stage_order) as stage_order,
        sum(case when not is_left_out then n else 0 end) as n_entered,
        sum(case when not is_left_out and is_mature then n else 0 end) as n_mature,
        sum(case when not is_left_out and not is_mature then n else 0 end) as n_immature,
        sum(case when not is_left_out and is_still_open then n else 0 end) as n_open,
        sum(case when not is_left_out and is_deleted then n else 0 end) as n_deleted,
        sum(case when not is_left_out and is_mature and is_deleted and is_within then n else 0 end) as n_deleted_within,
        sum(case when is_left_out then n else 0 end) as n_left_truncated,
        sum(case when not is_left_out and exit_no is not null then n else 0 end) as n_resolved,
        max(case when not is_left_out then longest_days end) as longest_days
    from cells
    group by group_no
),

counted as (
    {%- for numbers in exits %}
    select
        group_no,
        {{ loop.index0 }} as kind_no,
        sum(case when exit_no in ({{ numbers | join(', ') }}) then n else 0 end) as n_exits_ever,
        sum(case when exit_no in ({{ numbers | join(', ') }}) and is_mature and is_within then n else 0 end) as n_exits
    from cells
    where not is_left_out
    group by group_no
    {{ 'union all' if not loop.last }}
    {%- endfor %}
),

life as (
    {{ competing_life_table('observations', ['group_no']) }}
),

ends as (
    {{ competing_ends('life', ['group_no'], exits, '(select conversion_days from run)') }}
),

left_behind as (
    select
        life.group_no,
        min(life.survival) as survival_ever,
        min(case when life.duration_days <= run.conversion_days then life.survival end) as survival_within
    from life
    cross join run
    group by life.group_no
),

kinds as (
    {%- for kind in told_kinds %}
    select
        {{ loop.index0 }} as kind_no,
        '{{ kind }}' as exit_kind
    {{ 'union all' if not loop.last }}
    {%- endfor %}
),

put_together as (
    select
        groups.*,
        case when floor(groups.group_no / 100000) % 2 = 1 then 'defined' else 'reported' end as basis,
        stages.sales_process,
        case
            when groups.group_no % 100000 = 0 then 'all'
            else
                substr(cast(groups.group_no % 100000 as {{ dbt.type_string() }}), 1, 4)
                || '-Q'
                || substr(cast(groups.group_no % 100000 as {{ dbt.type_string() }}), 5, 1)
        end as cohort,
        stages.stage_name,
        kinds.exit_kind,
        coalesce(counted.n_exits, 0) as n_exits,
        coalesce(counted.n_exits_ever, 0) as n_exits_ever,
        groups.n_mature - groups.n_deleted_within as n_rate,
        coalesce(ends.share_within, 0) as incidence_within,
        coalesce(ends.variance_within, 0) as variance_within,
        coalesce(ends.share_ever, 0) as incidence_ever,
        coalesce(left_behind.survival_within, 1.0) as survival_at_days,
        -- F says nothing of times that nobody was watched for, unless everybody has left
        groups.longest_days >= run.conversion_days or coalesce(left_behind.survival_ever, 1.0) <= 1e-12 as is_watched_long_enough,
        run.minimum_n,
        run.conversion_days,
        run.as_of
    from groups
    cross join kinds
    cross join run
    inner join stages on floor(floor(groups.group_no / 100000) / 2) = stages.stage_no
    left join counted on groups.group_no = counted.group_no and kinds.kind_no = counted.kind_no
    left join ends on groups.group_no = ends.group_no and kinds.kind_no = ends.kind_no
    left join left_behind on groups.group_no = left_behind.group_no
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

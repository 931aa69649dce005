with run as (
    select
        as_of,
        minimum_n
    from {{ ref('dim_run') }}
),

first_visits as (
    select
        opportunity_id,
        visit_seq,
        sales_process,
        stage_name,
        stage_order,
        exited_at,
        exit_kind,
        is_start_imputed,
        is_left_truncated or is_start_imputed as is_left_out,
        exit_kind in ('advanced', 'won') as is_advanced
    from {{ ref('fct_stage_visits') }}
    where basis = 'reported' and visit_no = 1 and is_mapped and not is_closed_stage
),

-- few visits come back or jump: they are looked up among those alone
reentries as (
    select
        opportunity_id,
        stage_name
    from {{ ref('fct_stage_visits') }}
    where basis = 'reported' and visit_no = 2
),

jumps as (
    select
        opportunity_id,
        visit_seq - 1 as visit_seq
    from {{ ref('fct_stage_visits') }}
    where basis = 'reported' and stages_skipped > 0
),

judged as (
    select
        first_visits.*,
        jumps.opportunity_id is not null as is_skipping,
        reentries.opportunity_id is not null as is_reentered
    from first_visits
    left join jumps on first_visits.opportunity_id = jumps.opportunity_id and first_visits.visit_seq = jumps.visit_seq
    left join reentries
        on first_visits.opportunity_id = reentries.opportunity_id and first_visits.stage_name = reentries.stage_name
),

counted as (
    select
        sales_process,
        stage_name,
        sum(case when not is_start_imputed then 1 else 0 end) as n_entered,
        sum(case when not is_start_imputed and is_reentered then 1 else 0 end) as n_reworked,
        sum(case when is_left_out then 1 else 0 end) as n_left_out,
        sum(case when not is_left_out and exit_kind = 'open' then 1 else 0 end) as n_open,
        sum(case when not is_left_out and exit_kind in ('deleted', 'merged') then 1 else 0 end) as n_deleted,
        sum(case when not is_left_out and exit_kind not in ('open', 'deleted', 'merged') then 1 else 0 end) as n_resolved,
        sum(case when not is_left_out and is_advanced then 1 else 0 end) as n_advanced,
        sum(case when not is_left_out and exit_kind = 'lost' then 1 else 0 end) as n_lost,
        sum(case when not is_left_out and is_advanced and is_skipping then 1 else 0 end) as n_skipping,
        sum(case when not is_left_out and is_advanced and is_reentered then 1 else 0 end) as n_reentered
    from judged
    group by sales_process, stage_name
),

-- by the end of the visit the deal's evidence allowed this stage or a later one; a deal set aside has no defined visit: what
-- contradicts itself has not passed
met as (
    select
        judged.sales_process,
        judged.stage_name,
        count(*) as n_met,
        sum(case when not judged.is_skipping and not judged.is_reentered then 1 else 0 end) as n_first_pass
    from judged
    where
        judged.is_advanced
        and not judged.is_left_out
        and exists (
            select 1
            from {{ ref('fct_stage_visits') }} as evidenced
            where
                judged.opportunity_id = evidenced.opportunity_id
                and evidenced.basis = 'defined'
                and judged.stage_order <= evidenced.stage_order
                and judged.exited_at >= evidenced.entered_at
                and (not evidenced.is_closed_stage or evidenced.is_won_stage)
        )
    group by judged.sales_process, judged.stage_name
),

processes as (
    select distinct sales_process from counted
),

-- every stage in use, so that one which nobody entered leaves the product unknown
stages as (
    select
        stages.sales_process,
        stages.stage_name,
        stages.stage_order,
        stages.is_active,
        coalesce(counted.n_entered, 0) as n_entered,
        coalesce(counted.n_reworked, 0) as n_reworked,
        coalesce(counted.n_left_out, 0) as n_left_out,
        coalesce(counted.n_open, 0) as n_open,
        coalesce(counted.n_deleted, 0) as n_deleted,
        coalesce(counted.n_resolved, 0) as n_resolved,
        coalesce(counted.n_advanced, 0) as n_advanced,
        coalesce(counted.n_lost, 0) as n_lost,
        coalesce(counted.n_skipping, 0) as n_skipping,
        coalesce(counted.n_reentered, 0) as n_reentered,
        coalesce(counted.n_advanced, 0) - coalesce(met.n_met, 0) as n_breached,
        coalesce(met.n_first_pass, 0) as n_first_pass
    from {{ ref('dim_stage') }} as stages
    inner join processes on stages.sales_process = processes.sales_process
    left join counted on stages.sales_process = counted.sales_process and stages.stage_name = counted.stage_name
    left join met on stages.sales_process = met.sales_process and stages.stage_name = met.stage_name
    where not stages.is_closed and (stages.is_active or counted.stage_name is not null)
),

rated as (
    select
        stages.*,
        run.as_of,
        run.minimum_n,
        case when stages.n_resolved >= run.minimum_n then cast(stages.n_first_pass as double) / stages.n_resolved end as yield_with_loss,
        case when stages.n_advanced >= run.minimum_n then cast(stages.n_first_pass as double) / stages.n_advanced end
            as yield_on_advance
    from stages
    cross join run
),

rolled as (
    select
        *,
        sum(case when is_active and yield_with_loss is null then 1 else 0 end) over so_far as missing_with_loss,
        sum(case when is_active and yield_on_advance is null then 1 else 0 end) over so_far as missing_on_advance,
        {{ running_product(
            'case when is_active then coalesce(yield_with_loss, 1.0) else 1.0 end', 'sales_process', 'stage_order, stage_name'
        ) }} as product_with_loss,
        {{ running_product(
            'case when is_active then coalesce(yield_on_advance, 1.0) else 1.0 end', 'sales_process', 'stage_order, stage_name'
        ) }} as product_on_advance
    from rated
    window so_far as (partition by sales_process order by stage_order, stage_name rows unbounded preceding)
)

select
    sales_process || ': ' || stage_name as yield_key,
    sales_process,
    stage_name,
    stage_order,
    is_active,
    cast(n_entered as bigint) as n_entered,
    cast(n_reworked as bigint) as n_reworked,
    case when n_entered >= minimum_n then cast(n_reworked as double) / n_entered end as rework_rate,
    case when n_entered >= minimum_n then {{ wilson_bound('n_reworked', 'n_entered', '-') }} end as rework_rate_lower,
    case when n_entered >= minimum_n then {{ wilson_bound('n_reworked', 'n_entered', '+') }} end as rework_rate_upper,
    cast(n_left_out as bigint) as n_left_out,
    cast(n_open as bigint) as n_open,
    cast(n_deleted as bigint) as n_deleted,
    cast(n_resolved as bigint) as n_resolved,
    cast(n_advanced as bigint) as n_advanced,
    cast(n_lost as bigint) as n_lost,
    cast(n_resolved - n_advanced - n_lost as bigint) as n_returned,
    cast(n_skipping as bigint) as n_skipping,
    cast(n_reentered as bigint) as n_reentered,
    cast(n_breached as bigint) as n_breached,
    cast(n_first_pass as bigint) as n_first_pass,
    yield_with_loss as first_pass_yield,
    case when yield_with_loss is not null then {{ wilson_bound('n_first_pass', 'n_resolved', '-') }} end as first_pass_yield_lower,
    case when yield_with_loss is not null then {{ wilson_bound('n_first_pass', 'n_resolved', '+') }} end as first_pass_yield_upper,
    yield_on_advance as first_pass_yield_on_advance,
    case when yield_on_advance is not null then {{ wilson_bound('n_first_pass', 'n_advanced', '-') }} end
        as first_pass_yield_on_advance_lower,
    case when yield_on_advance is not null then {{ wilson_bound('n_first_pass', 'n_advanced', '+') }} end
        as first_pass_yield_on_advance_upper,
    case when is_active and missing_with_loss = 0 then product_with_loss end as rolled_yield_to_here,
    case when is_active and missing_on_advance = 0 then product_on_advance end as rolled_yield_on_advance_to_here,
    case
        when max(missing_with_loss) over (partition by sales_process) = 0 then min(product_with_loss) over (partition by sales_process)
    end as rolled_throughput_yield,
    case
        when max(missing_on_advance) over (partition by sales_process) = 0
            then min(product_on_advance) over (partition by sales_process)
    end as rolled_throughput_yield_on_advance,
    case when yield_with_loss is null then 'too few' else 'ok' end as reads,
    as_of
from rolled

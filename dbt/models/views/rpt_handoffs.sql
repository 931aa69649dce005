with run as (
    select
        as_of,
        minimum_n
    from {{ ref('dim_run') }}
),

handoffs as (
    select
        *,
        coalesce(giver_role_id, 'unknown') as giver_role,
        coalesce(taker_role_id, 'unknown') as taker_role,
        wait_days as duration_days,
        case when not is_still_waiting then 'acted' end as exit_kind
    from {{ ref('fct_handoffs') }}
),

life as (
    {{ life_table('handoffs', ['sales_process', 'stage_name', 'giver_role', 'taker_role']) }}
),

quantiles as (
    select
        sales_process,
        stage_name,
        giver_role,
        taker_role,
        {{ survival_quantile(0.5) }} as km_p50,
        {{ survival_quantile(0.85) }} as km_p85
    from life
    group by sales_process, stage_name, giver_role, taker_role
),

counted as (
    select
        sales_process,
        stage_name,
        giver_role,
        taker_role,
        min(stage_order) as stage_order,
        count(*) as n_handoffs,
        sum(case when outcome = 'accepted' then 1 else 0 end) as n_accepted,
        sum(case when outcome = 'returned' then 1 else 0 end) as n_returned,
        sum(case when outcome = 'lost' then 1 else 0 end) as n_lost,
        sum(case when outcome = 'moved aside' then 1 else 0 end) as n_moved_aside,
        sum(case when outcome = 'awaiting' then 1 else 0 end) as n_awaiting,
        sum(case when outcome <> 'awaiting' then 1 else 0 end) as n_resolved,
        sum(case when is_still_waiting then 1 else 0 end) as n_still_waiting
    from handoffs
    group by sales_process, stage_name, giver_role, taker_role
),

judged as (
    select
        counted.*,
        quantiles.km_p50,
        quantiles.km_p85,
        counted.n_resolved >= run.minimum_n as is_enough,
        counted.n_handoffs >= run.minimum_n as is_wait_enough,
        run.as_of
    from counted
    cross join run
    inner join quantiles
        on
            counted.sales_process = quantiles.sales_process
            and counted.stage_name = quantiles.stage_name
            and counted.giver_role = quantiles.giver_role
            and counted.taker_role = quantiles.taker_role
)

select
    sales_process || ': ' || stage_name || ': ' || giver_role || ': ' || taker_role as handoff_key,
    sales_process,
    stage_name,
    stage_order,
    giver_role,
    taker_role,
    'current_role' as role_basis,
    cast(n_handoffs as bigint) as n_handoffs,
    cast(n_accepted as bigint) as n_accepted,
    cast(n_returned as bigint) as n_returned,
    cast(n_lost as bigint) as n_lost,
    cast(n_moved_aside as bigint) as n_moved_aside,
    cast(n_awaiting as bigint) as n_awaiting,
    case when is_enough then cast(n_accepted as double) / n_resolved end as accepted_share,
    case when is_enough then {{ wilson_bound('n_accepted', 'n_resolved', '-') }} end as accepted_lower,
    case when is_enough then {{ wilson_bound('n_accepted', 'n_resolved', '+') }} end as accepted_upper,
    case when is_enough then cast(n_returned as double) / n_resolved end as returned_share,
    case when is_enough then {{ wilson_bound('n_returned', 'n_resolved', '-') }} end as returned_lower,
    case when is_enough then {{ wilson_bound('n_returned', 'n_resolved', '+') }} end as returned_upper,
    case when is_wait_enough then km_p50 end as wait_p50_days,
    case when is_wait_enough then km_p85 end as wait_p85_days,
    cast(n_still_waiting as bigint) as n_still_waiting,
    case when is_enough then 'ok' else 'too few' end as reads,
    as_of
from judged

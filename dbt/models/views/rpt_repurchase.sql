{#- The window in days; told in the descriptions of the columns that use it. -#}
{%- set window_days = 365 -%}
with run as (
    select
        as_of,
        minimum_n
    from {{ ref('dim_run') }}
),

all_wins as (
    select
        deals.opportunity_id,
        accounts.surviving_account_id as customer_id,
        deals.closed_at
    from {{ ref('fct_opportunities') }} as deals
    left join {{ ref('dim_account') }} as accounts on deals.account_id = accounts.account_id
    where deals.is_won and not deals.is_deleted
),

left_out as (
    select
        coalesce(sum(case when customer_id is null then 1 else 0 end), 0) as n_without_account,
        coalesce(sum(case when customer_id is not null and closed_at is null then 1 else 0 end), 0) as n_undated
    from all_wins
),

wins as (
    select
        customer_id,
        closed_at,
        row_number() over customer as win_no,
        lead(closed_at) over customer as next_won_at
    from all_wins
    where customer_id is not null and closed_at is not null
    window customer as (partition by customer_id order by closed_at, opportunity_id)
),

gaps as (
    select
        case when wins.win_no = 1 then 'first' when wins.win_no = 2 then 'second' else 'third or later' end as from_win,
        cast(extract(year from wins.closed_at) as {{ dbt.type_string() }}) as won_in,
        {{ elapsed_days('wins.closed_at', 'coalesce(wins.next_won_at, run.as_of)') }} as duration_days,
        case when wins.next_won_at is not null then 'won' end as exit_kind,
        {{ elapsed_days('wins.closed_at', 'run.as_of') }} >= {{ window_days }} as is_mature
    from wins
    cross join run
),

observations as (
    select
        from_win,
        won_in as cohort,
        duration_days,
        exit_kind,
        is_mature
    from gaps
    union all
    select
        from_win,
        'all' as cohort,
        duration_days,
        exit_kind,
        is_mature
    from gaps
),

counted as (
    select
        from_win,
        cohort,
        count(*) as n_wins,
        count(exit_kind) as n_next_won,
        sum(case when is_mature then 1 else 0 end) as n_mature,
        sum(case when is_mature and exit_kind is not null and duration_days <= {{ window_days }} then 1 else 0 end) as n_within,
        max(duration_days) as longest_days
    from observations
    group by from_win, cohort
),

life as (
    {{ life_table('observations', ['from_win', 'cohort']) }}
),

quantiles as (
    select
        from_win,
        cohort,
        {{ survival_quantile(0.5) }} as km_p50_days,
        min(survival) as survival_end
    from life
    group by from_win, cohort
),

within as (
    {{ survival_at('life', ['from_win', 'cohort'], window_days) }}
),

judged as (
    select
        counted.*,
        quantiles.km_p50_days,
        coalesce(within.survival, 1.0) as survival,
        within.greenwood,
        left_out.n_without_account,
        left_out.n_undated,
        run.as_of,
        counted.n_wins >= run.minimum_n as is_enough,
        counted.n_mature >= run.minimum_n as is_rate_enough,
        -- S says nothing of times that nobody was watched for, unless everybody has left
        counted.longest_days >= {{ window_days }} or quantiles.survival_end <= 1e-12 as is_watched_long_enough
    from counted
    cross join run
    cross join left_out
    inner join quantiles on counted.from_win = quantiles.from_win and counted.cohort = quantiles.cohort
    left join within on counted.from_win = within.from_win and counted.cohort = within.cohort
)

select
    from_win || ': ' || cohort as repurchase_key,
    from_win,
    cohort,
    {{ window_days }} as window_days,
    cast(n_wins as bigint) as n_wins,
    cast(n_next_won as bigint) as n_next_won,
    cast(n_wins - n_next_won as bigint) as n_censored,
    cast(n_mature as bigint) as n_mature,
    cast(n_within as bigint) as n_within,
    case when is_rate_enough then cast(n_within as double) / n_mature end as next_win_rate,
    case when is_rate_enough then {{ wilson_bound('n_within', 'n_mature', '-') }} end as next_win_rate_lower,
    case when is_rate_enough then {{ wilson_bound('n_within', 'n_mature', '+') }} end as next_win_rate_upper,
    case when is_enough and is_watched_long_enough then 1 - survival end as km_next_win_share,
    case when is_enough and is_watched_long_enough then 1 - {{ survival_bound('survival', 'greenwood', false) }} end as km_share_lower,
    case when is_enough and is_watched_long_enough then 1 - {{ survival_bound('survival', 'greenwood', true) }} end as km_share_upper,
    case when is_enough then km_p50_days end as km_p50_days,
    longest_days,
    cast(n_without_account as bigint) as n_without_account,
    cast(n_undated as bigint) as n_undated,
    case
        when not is_enough then 'too few'
        when not is_watched_long_enough then 'immature'
        else 'ok'
    end as reads,
    as_of
from judged

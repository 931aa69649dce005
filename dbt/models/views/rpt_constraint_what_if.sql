{#- Told in the description of the model. Trial 0 is the estimate itself: nothing is drawn. -#}
{%- set gain, trials, weeks_ahead, sampled_weeks, least_weeks = 1.1, 500, 13, 26, 12 -%}
{%- set trial_text = 'cast(trials.trial_no as ' ~ dbt.type_string() ~ ')' -%}
with run as (
    select
        as_of,
        minimum_n
    from {{ ref('dim_run') }}
),

trials as (
    select {{ numbers_between(0, trials) }} as trial_no
),

outcomes as (
    select
        deals.sales_process,
        count(*) as n_resolved,
        sum(case when deals.is_won then 1 else 0 end) as n_won
    from {{ ref('fct_opportunities') }} as deals
    where (deals.is_won or deals.is_lost) and not deals.is_deleted
    group by deals.sales_process
),

-- what a win is worth: the wins of the last year whose amount is known
worth as (
    select
        deals.sales_process,
        count(deals.amount_corporate) as n_amounts,
        cast(sum(deals.amount_corporate) as double) / nullif(count(deals.amount_corporate), 0) as mean_amount
    from {{ ref('fct_opportunities') }} as deals
    cross join run
    where deals.is_won and not deals.is_deleted and {{ elapsed_days('deals.closed_at', 'run.as_of') }} <= 364
    group by deals.sales_process
),

deviations as (
    select
        worth.sales_process,
        sqrt(
            {{ ordered_sum('power(cast(deals.amount_corporate as double) - worth.mean_amount, 2)', 'deals.opportunity_id') }}
            / nullif(min(worth.n_amounts) - 1, 0) / min(worth.n_amounts)
        ) as error_of_mean
    from worth
    inner join {{ ref('fct_opportunities') }} as deals on worth.sales_process = deals.sales_process
    cross join run
    where deals.is_won and not deals.is_deleted and {{ elapsed_days('deals.closed_at', 'run.as_of') }} <= 364
    group by worth.sales_process
),

-- weeks that the figures of now rest on: of arrivals the last, of a stage those in which it had a queue
latest as (
    select *
    from {{ ref('fct_stage_weeks') }}
    where basis = 'reported' and week_starts_on = (select max(weeks.week_starts_on) from {{ ref('fct_stage_weeks') }} as weeks)
),

sampled as (
    select
        sales_process,
        0 as link_no,
        'arrivals' as stage_name,
        value as figure,
        row_number() over (partition by sales_process order by week_starts_on desc) as place,
        count(*) over (partition by sales_process) as n_weeks
    from {{ ref('fct_flow_weeks') }}
    where basis = 'reported' and metric = 'arrivals' and weeks_ago <= {{ sampled_weeks }}
    union all
    select
        latest.sales_process,
        latest.stage_order as link_no,
        latest.stage_name,
        cast(weeks.exits as double) as figure,
        row_number() over (partition by latest.sales_process, latest.stage_name order by weeks.week_starts_on desc) as place,
        latest.loaded_weeks as n_weeks
    from latest
    inner join {{ ref('fct_stage_weeks') }} as weeks
        on
            latest.basis = weeks.basis
            and latest.sales_process = weeks.sales_process
            and latest.stage_name = weeks.stage_name
            and {{ dbt.dateadd('day', -7 * sampled_weeks, 'latest.week_starts_on') }} < weeks.week_starts_on
            and 2 * latest.median_exits <= weeks.start_wip
    where latest.capacity_exits is not null
),

-- the line in order: what arrives, then each stage
links as (
    select
        outcomes.sales_process,
        0 as link_no,
        'arrivals' as stage_name,
        'market' as location,
        outcomes.n_resolved,
        cast(outcomes.n_won as double) / outcomes.n_resolved as p_win,
        cast(null as double) as onward_yield
    from outcomes
    cross join run
    where outcomes.n_resolved >= run.minimum_n and outcomes.n_won > 0
    union all
    select
        latest.sales_process,
        latest.stage_order as link_no,
        latest.stage_name,
        latest.location,
        latest.n_resolved,
        latest.p_win_after_exit as p_win,
        latest.onward_yield
    from latest
    where latest.p_win_after_exit > 0
),

-- of what leaves a link, the share that comes as far as leaving the next one, or is won after the last
steps as (
    select
        links.*,
        links.p_win / coalesce(lead(links.p_win) over (partition by links.sales_process order by links.link_no), 1) as share_on
    from links
    inner join links as arrivals on links.sales_process = arrivals.sales_process and arrivals.link_no = 0
),

drawn_shares as (
    select
        steps.*,
        trials.trial_no,
        case
            when trials.trial_no = 0 then steps.share_on
            else greatest(
                0.001,
                least(
                    greatest(steps.share_on, 1),
                    steps.share_on
                    + {{ normal_draw("'what if: share: ' || steps.sales_process || ': ' || steps.stage_name", 'trials.trial_no') }}
                    * sqrt(greatest(steps.share_on * (1 - steps.share_on), 0) / steps.n_resolved)
                )
            )
        end as drawn_share
    from steps
    cross join trials
),

chances as (
    select
        *,
        {{ running_product('drawn_share', 'sales_process, trial_no', 'link_no desc') }} as drawn_p_win
    from drawn_shares
),

draws as (
    select
        sampled.sales_process,
        sampled.link_no,
        sampled.stage_name,
        trials.trial_no,
        case
            when trials.trial_no = 0 then sampled.place
            else 1 + cast(floor(sampled.n_weeks * {{ uniform_draw([
                "'what if: week'", 'sampled.sales_process', 'sampled.stage_name', trial_text,
                'cast(sampled.place as ' ~ dbt.type_string() ~ ')',
            ]) }}) as bigint)
        end as place
    from sampled
    cross join trials
),

-- mean arrivals a week; p85 of what a stage let through when it had a queue
resampled as (
    select
        draws.sales_process,
        draws.link_no,
        draws.trial_no,
        case
            when draws.link_no = 0 then {{ ordered_sum('sampled.figure', 'sampled.place') }} / count(*)
            else {{ percentile('sampled.figure', 0.85) }}
        end as drawn_capacity
    from draws
    inner join sampled
        on draws.sales_process = sampled.sales_process and draws.stage_name = sampled.stage_name and draws.place = sampled.place
    where sampled.n_weeks >= {{ least_weeks }}
    group by draws.sales_process, draws.link_no, draws.stage_name, draws.trial_no
),

-- wins a week that each link can bring; NULL: its capacity is unknown, it limits nothing
bounds as (
    select
        chances.sales_process,
        chances.link_no,
        chances.stage_name,
        chances.location,
        chances.n_resolved,
        chances.p_win,
        chances.onward_yield,
        chances.trial_no,
        resampled.drawn_capacity,
        resampled.drawn_capacity * chances.drawn_p_win as wins_bound,
        count(case when chances.link_no = 0 then resampled.drawn_capacity end) over line = 1 as is_known
    from chances
    left join resampled
        on
            chances.sales_process = resampled.sales_process
            and chances.link_no = resampled.link_no
            and chances.trial_no = resampled.trial_no
    window line as (partition by chances.sales_process, chances.trial_no)
),

neighbours as (
    select
        *,
        min(wins_bound) over line as wins_now,
        min(wins_bound) over (line order by link_no rows between unbounded preceding and 1 preceding) as lowest_before,
        min(wins_bound) over (line order by link_no rows between 1 following and unbounded following) as lowest_after
    from bounds
    where is_known
    window line as (partition by sales_process, trial_no)
),

levers as (
    select
        *,
        case when link_no = 0 then 'arrivals' else 'capacity' end as lever,
        -- only the link itself can carry more
        least({{ gain }} * wins_bound, lowest_before, lowest_after) as wins_then
    from neighbours
    union all
    select
        *,
        'yield' as lever,
        -- what comes before it is worth more; what comes after it gets more to do, and cannot carry more
        least({{ gain }} * wins_bound, {{ gain }} * lowest_before, lowest_after) as wins_then
    from neighbours
    where link_no > 0
),

valued as (
    select
        levers.*,
        case when levers.lever <> 'capacity' or levers.drawn_capacity is not null then levers.wins_then - levers.wins_now end as extra_wins,
        levers.wins_bound = levers.wins_now as is_limit,
        case
            when worth.n_amounts >= run.minimum_n
                then greatest(
                    0,
                    worth.mean_amount
                    + case when levers.trial_no = 0 then 0 else deviations.error_of_mean end
                    * {{ normal_draw("'what if: worth: ' || levers.sales_process", 'levers.trial_no') }}
                )
        end as amount_of_win
    from levers
    cross join run
    left join worth on levers.sales_process = worth.sales_process
    left join deviations on levers.sales_process = deviations.sales_process
),

ranges as (
    select
        sales_process,
        link_no,
        lever,
        {%- for bound, share in [('lower', 0.025), ('upper', 0.975)] %}
        {{ weeks_ahead }} * {{ percentile('extra_wins', share) }} as extra_wins_{{ bound }},
        {{ weeks_ahead }} * {{ percentile('extra_wins * amount_of_win', share) }} as extra_money_{{ bound }},
        {%- endfor %}
        avg(case when is_limit then 1.0 else 0.0 end) as share_limiting
    from valued
    where trial_no > 0
    group by sales_process, link_no, lever
),

processes as (
    select distinct sales_process
    from latest
),

stage_levers as (
    select 'capacity' as lever
    union all
    select 'yield' as lever
),

-- every stage has its rows, known or not
places as (
    select
        processes.sales_process,
        0 as link_no,
        'arrivals' as stage_name,
        'market' as location,
        'arrivals' as lever
    from processes
    union all
    select
        latest.sales_process,
        latest.stage_order as link_no,
        latest.stage_name,
        latest.location,
        stage_levers.lever
    from latest
    cross join stage_levers
)

select
    places.sales_process || ': ' || places.stage_name || ': ' || places.lever as what_if_key,
    places.sales_process,
    places.location,
    places.stage_name,
    cast(places.link_no as integer) as stage_order,
    places.lever,
    estimate.drawn_capacity as capacity_a_week,
    estimate.p_win,
    cast(estimate.n_resolved as bigint) as n_resolved,
    estimate.wins_bound as wins_bound_a_week,
    estimate.wins_now as wins_a_week,
    estimate.is_limit,
    case when estimate.drawn_capacity is not null then ranges.share_limiting end as share_limiting,
    {{ weeks_ahead }} * estimate.extra_wins as extra_wins,
    case when estimate.extra_wins is not null then ranges.extra_wins_lower end as extra_wins_lower,
    case when estimate.extra_wins is not null then ranges.extra_wins_upper end as extra_wins_upper,
    {{ weeks_ahead }} * estimate.extra_wins * estimate.amount_of_win as extra_money,
    case when estimate.extra_wins is not null then ranges.extra_money_lower end as extra_money_lower,
    case when estimate.extra_wins is not null then ranges.extra_money_upper end as extra_money_upper,
    cast({{ trials }} as bigint) as n_trials,
    case
        when estimate.sales_process is null then 'too few'
        when estimate.extra_wins is null then 'capacity unknown'
        when places.lever = 'yield' and {{ gain }} * estimate.onward_yield > 1 then 'yield cannot rise so far'
        when estimate.amount_of_win is null then 'money unknown'
        else 'ok'
    end as reads,
    run.as_of
from places
cross join run
left join valued as estimate
    on
        places.sales_process = estimate.sales_process
        and places.link_no = estimate.link_no
        and places.lever = estimate.lever
        and estimate.trial_no = 0
left join ranges
    on places.sales_process = ranges.sales_process and places.link_no = ranges.link_no and places.lever = ranges.lever

with weeks as (
    select distinct dates.week_starts_on
    from {{ ref('dim_date') }} as dates
    cross join {{ ref('stg_control__run') }} as run
    where {{ elapsed_days('cast(dates.week_starts_on as timestamp)', 'run.as_of') }} >= 7
),

open_deals as (
    select
        sales_process,
        location,
        week_starts_on,
        sum(end_wip) as open_deals
    from {{ ref('fct_stage_weeks') }}
    where basis = 'reported'
    group by sales_process, location, week_starts_on
),

moves as (
    select
        sales_process,
        location,
        cast(date_trunc('week', began_at) as date) as week_starts_on,
        1 as began,
        1 as change
    from {{ ref('int_deal_waits') }}
    union all
    select
        sales_process,
        location,
        cast(date_trunc('week', ended_at) as date) as week_starts_on,
        0 as began,
        -1 as change
    from {{ ref('int_deal_waits') }}
    where ended_at is not null
),

first_week as (
    select min(week_starts_on) as week_starts_on from weeks
),

moved as (
    select
        moves.sales_process,
        moves.location,
        greatest(moves.week_starts_on, first_week.week_starts_on) as week_starts_on,
        sum(moves.began) as began,
        sum(moves.change) as change
    from moves
    cross join first_week
    group by moves.sales_process, moves.location, greatest(moves.week_starts_on, first_week.week_starts_on)
),

-- before the first answer that was logged nothing is known of waits
first_waits as (
    select min(week_starts_on) as week_starts_on from moved
),

weekly as (
    select
        open_deals.sales_process,
        open_deals.location,
        open_deals.week_starts_on,
        open_deals.open_deals,
        case
            when open_deals.week_starts_on >= first_waits.week_starts_on
                then sum(coalesce(moved.change, 0)) over (
                    partition by open_deals.sales_process, open_deals.location
                    order by open_deals.week_starts_on
                    rows unbounded preceding
                )
        end as waiting_deals,
        case when open_deals.week_starts_on >= first_waits.week_starts_on then coalesce(moved.began, 0) end as waits_begun
    from open_deals
    cross join first_waits
    left join moved
        on
            open_deals.sales_process = moved.sales_process
            and open_deals.location = moved.location
            and open_deals.week_starts_on = moved.week_starts_on
),

quarters as (
    select
        *,
        {%- set order = 'partition by sales_process, location order by week_starts_on' %}
        {{ of_13_weeks('waiting_deals', order) }} as waiting_13_weeks,
        {{ of_13_weeks('waits_begun', order) }} as begun_13_weeks,
        {{ of_13_weeks('open_deals', order) }} as open_13_weeks
    from weekly
)

select
    sales_process || ': ' || location || ': ' || cast(week_starts_on as {{ dbt.type_string() }}) as wait_week_key,
    sales_process,
    location,
    week_starts_on,
    cast(open_deals as bigint) as open_deals,
    cast(waiting_deals as bigint) as waiting_deals,
    cast(waits_begun as bigint) as waits_begun,
    cast(open_13_weeks as bigint) as open_deals_13_weeks,
    cast(waiting_13_weeks as bigint) as waiting_deals_13_weeks,
    cast(begun_13_weeks as bigint) as waits_begun_13_weeks,
    cast(lag(open_13_weeks, 52) over stream as bigint) as open_deals_year_before,
    cast(lag(waiting_13_weeks, 52) over stream as bigint) as waiting_deals_year_before,
    cast(lag(begun_13_weeks, 52) over stream as bigint) as waits_begun_year_before
from quarters
window stream as (partition by sales_process, location order by week_starts_on)

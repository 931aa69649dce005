{#- Weekly figures by source: a source counts from its first record on, before that nothing is known. -#}
{%- set sources = {
    'reached': 'campaigns', 'responses': 'campaigns', 'inquiries': 'leads', 'unprompted': 'leads', 'worked_leads': 'leads',
    'closed_leads': 'leads', 'given_up_leads': 'leads', 'cases_opened': 'cases', 'cases_closed': 'cases', 'deal_touches': 'activities',
    'case_touches': 'activities', 'seller_touches': 'activities',
} -%}
with weeks as (
    select distinct dates.week_starts_on
    from {{ ref('dim_date') }} as dates
    cross join {{ ref('stg_control__run') }} as run
    where {{ elapsed_days('cast(dates.week_starts_on as timestamp)', 'run.as_of') }} >= 7
),

prompted_leads as (
    select distinct lead_id
    from {{ ref('int_campaign_responses') }}
    where lead_id is not null and responded_at is not null
),

sellers as (
    select distinct owner_id from {{ ref('int_opportunities') }}
),

leads as (
    select
        leads.*,
        prompted_leads.lead_id is null as is_unprompted
    from {{ ref('int_lead_work') }} as leads
    left join prompted_leads on leads.lead_id = prompted_leads.lead_id
    where leads.outcome <> 'deleted'
),

-- summed by week before owners are looked up: there are millions of touches, and some hundred owners
touches as (
    select
        owner_id,
        date_trunc('week', occurred_at) as moved_at,
        count(*) as n,
        count(opportunity_id) as of_deals,
        count(case_id) as of_cases
    from {{ ref('int_activities') }}
    where direction in ('outbound', 'unknown')
    group by owner_id, date_trunc('week', occurred_at)
),

seller_touches as (
    select touches.*
    from touches
    inner join sellers on touches.owner_id = sellers.owner_id
),

moves as (
    select
        reached_at as moved_at,
        'reached' as what,
        1 as n
    from {{ ref('int_campaign_responses') }}
    union all
    select
        responded_at as moved_at,
        'responses' as what,
        1 as n
    from {{ ref('int_campaign_responses') }}
    where responded_at is not null
    union all
    select
        created_at as moved_at,
        'inquiries' as what,
        1 as n
    from leads
    union all
    select
        created_at as moved_at,
        'unprompted' as what,
        1 as n
    from leads
    where is_unprompted
    union all
    select
        first_worked_at as moved_at,
        'worked_leads' as what,
        1 as n
    from leads
    where first_worked_at is not null
    union all
    select
        closed_at as moved_at,
        'closed_leads' as what,
        1 as n
    from leads
    where closed_at is not null
    union all
    select
        closed_at as moved_at,
        'given_up_leads' as what,
        1 as n
    from leads
    where outcome = 'given up'
    union all
    select
        created_at as moved_at,
        'unworked_leads' as what,
        1 as n
    from leads
    union all
    select
        least(first_worked_at, closed_at) as moved_at,
        'unworked_leads' as what,
        -1 as n
    from leads
    where first_worked_at is not null or closed_at is not null
    union all
    select
        created_at as moved_at,
        'cases_opened' as what,
        1 as n
    from {{ ref('int_cases') }}
    union all
    select
        closed_at as moved_at,
        'cases_closed' as what,
        1 as n
    from {{ ref('int_cases') }}
    where closed_at is not null
    union all
    select
        moved_at,
        'deal_touches' as what,
        of_deals as n
    from seller_touches
    union all
    select
        moved_at,
        'case_touches' as what,
        of_cases as n
    from seller_touches
    union all
    select
        moved_at,
        'seller_touches' as what,
        n
    from seller_touches
),

weekly_moves as (
    select
        cast(date_trunc('week', moved_at) as date) as week_starts_on,
        {%- for figure in sources %}
        sum(case when what = '{{ figure }}' then n else 0 end) as {{ figure }},
        {%- endfor %}
        sum(case when what = 'unworked_leads' then n else 0 end) as unworked_leads
    from moves
    group by cast(date_trunc('week', moved_at) as date)
),

firsts as (
    select
        min(case when reached > 0 then week_starts_on end) as first_of_campaigns,
        min(case when inquiries > 0 then week_starts_on end) as first_of_leads,
        min(case when cases_opened > 0 then week_starts_on end) as first_of_cases,
        min(case when seller_touches > 0 then week_starts_on end) as first_of_activities
    from weekly_moves
),

-- leads from before the first week still wait in it
before_first_week as (
    select coalesce(sum(unworked_leads), 0) as unworked_leads
    from weekly_moves
    where week_starts_on < (select min(weeks.week_starts_on) from weeks)
),

weekly as (
    select
        weeks.week_starts_on,
        {%- for figure, source in sources.items() %}
        case when weeks.week_starts_on >= firsts.first_of_{{ source }} then coalesce(weekly_moves.{{ figure }}, 0) end as {{ figure }},
        {%- endfor %}
        case
            when weeks.week_starts_on >= firsts.first_of_leads
                then before_first_week.unworked_leads + sum(coalesce(weekly_moves.unworked_leads, 0)) over (
                    order by weeks.week_starts_on
                    rows unbounded preceding
                )
        end as unworked_leads
    from weeks
    cross join firsts
    cross join before_first_week
    left join weekly_moves on weeks.week_starts_on = weekly_moves.week_starts_on
),

quarters as (
    select
        {%- for figure in sources %}
        {{ of_13_weeks(figure, 'order by week_starts_on') }} as {{ figure }}_13_weeks,
        {%- endfor %}
        {{ of_13_weeks('unworked_leads', 'order by week_starts_on') }} as unworked_leads_13_weeks,
        *
    from weekly
)

select
    {%- for figure in sources.keys() | list + ['unworked_leads'] %}
    cast({{ figure }} as bigint) as {{ figure }},
    cast({{ figure }}_13_weeks as bigint) as {{ figure }}_13_weeks,
    cast(lag({{ figure }}_13_weeks, 52) over in_time as bigint) as {{ figure }}_year_before,
    {%- endfor %}
    week_starts_on
from quarters
window in_time as (order by week_starts_on)

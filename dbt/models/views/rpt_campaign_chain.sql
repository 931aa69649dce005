with run as (
    select
        as_of,
        minimum_n
    from {{ ref('dim_run') }}
),

reached as (
    select
        campaign_id,
        count(*) as n_members,
        count(responded_at) as n_responded
    from {{ ref('fct_campaign_responses') }}
    group by campaign_id
),

leads as (
    select
        coalesce(members.campaign_id, 'none') as campaign_key,
        count(*) as n_leads,
        sum(case when cast(leads.created_at as date) >= cast(members.reached_at as date) then 1 else 0 end) as n_leads_new,
        sum(case when leads.outcome = 'converted' then 1 else 0 end) as n_leads_converted,
        sum(case when leads.outcome = 'given up' then 1 else 0 end) as n_leads_given_up,
        sum(case when leads.outcome = 'open' then 1 else 0 end) as n_leads_open,
        {{ percentile(
            "case when leads.outcome = 'converted' then " ~ elapsed_days(
                'coalesce(members.reached_at, leads.created_at)', 'greatest(leads.closed_at, coalesce(members.reached_at, leads.created_at))'
            ) ~ ' end',
            0.5
        ) }} as p50_days_to_conversion
    from {{ ref('fct_leads') }} as leads
    left join {{ ref('fct_campaign_responses') }} as members on leads.lead_id = members.lead_id and members.is_first_of_lead
    group by coalesce(members.campaign_id, 'none')
),

deals as (
    select
        coalesce(attributed.campaign_id, 'none') as campaign_key,
        count(*) as n_opportunities,
        sum(case when attributed.attribution = 'primary campaign' then 1 else 0 end) as n_by_primary_campaign,
        sum(case when attributed.attribution = 'first touch' then 1 else 0 end) as n_by_first_touch,
        sum(case when deals.is_qualified then 1 else 0 end) as n_qualified,
        sum(case when deals.is_open then 1 else 0 end) as n_open,
        sum(case when deals.is_won then 1 else 0 end) as n_won,
        sum(case when deals.is_lost then 1 else 0 end) as n_lost,
        sum(case when deals.is_open is null then 1 else 0 end) as n_unmapped,
        sum(case when deals.is_won then deals.amount_corporate end) as won_amount,
        sum(case when deals.is_won and deals.amount_corporate is null then 1 else 0 end) as n_won_without_amount,
        sum(case when deals.is_open then deals.amount_corporate end) as open_amount,
        sum(case when deals.is_open and deals.amount_corporate is null then 1 else 0 end) as n_open_without_amount,
        count(attributed.touched_at) as n_touched,
        count(case when deals.is_won and deals.closed_at >= attributed.touched_at then 1 end) as n_won_touched,
        {{ percentile(elapsed_days('attributed.touched_at', 'deals.created_at'), 0.5) }} as p50_days_touch_to_opportunity,
        {{ percentile(
            'case when deals.is_won and deals.closed_at >= attributed.touched_at then '
            ~ elapsed_days('attributed.touched_at', 'deals.closed_at') ~ ' end',
            0.5
        ) }} as p50_days_touch_to_win
    from {{ ref('fct_opportunities') }} as deals
    inner join {{ ref('fct_opportunity_campaigns') }} as attributed on deals.opportunity_id = attributed.opportunity_id
    where not deals.is_deleted
    group by coalesce(attributed.campaign_id, 'none')
),

-- a campaign that cannot be read is named by its members and deals
campaigns as (
    select campaign_id as campaign_key from {{ ref('dim_campaign') }}
    union distinct
    select campaign_id as campaign_key from reached
    union distinct
    select campaign_key from leads
    union distinct
    select campaign_key from deals
),

counted as (
    select
        campaigns.campaign_key,
        {%- for figure in ['n_members', 'n_responded'] %}
        coalesce(reached.{{ figure }}, 0) as {{ figure }},
        {%- endfor %}
        {%- for figure in ['n_leads', 'n_leads_new', 'n_leads_converted', 'n_leads_given_up', 'n_leads_open'] %}
        coalesce(leads.{{ figure }}, 0) as {{ figure }},
        {%- endfor %}
        leads.p50_days_to_conversion,
        {%- for figure in [
            'n_opportunities', 'n_by_primary_campaign', 'n_by_first_touch', 'n_qualified', 'n_open', 'n_won', 'n_lost', 'n_unmapped',
            'n_won_without_amount', 'n_open_without_amount', 'n_touched', 'n_won_touched',
        ] %}
        coalesce(deals.{{ figure }}, 0) as {{ figure }},
        {%- endfor %}
        deals.won_amount,
        deals.open_amount,
        deals.p50_days_touch_to_opportunity,
        deals.p50_days_touch_to_win,
        coalesce(leads.n_leads_converted + leads.n_leads_given_up, 0) as n_leads_resolved,
        coalesce(deals.n_won + deals.n_lost, 0) as n_closed
    from campaigns
    left join reached on campaigns.campaign_key = reached.campaign_id
    left join leads on campaigns.campaign_key = leads.campaign_key
    left join deals on campaigns.campaign_key = deals.campaign_key
)

select
    counted.campaign_key,
    dim_campaign.campaign_name,
    dim_campaign.campaign_type,
    dim_campaign.campaign_status,
    dim_campaign.start_on,
    dim_campaign.is_deleted,
    cast(counted.n_members as bigint) as n_members,
    cast(counted.n_responded as bigint) as n_responded,
    {%- for rate, hits, tries in [
        ('response_rate', 'n_responded', 'n_members'),
        ('lead_conversion_rate', 'n_leads_converted', 'n_leads_resolved'),
        ('win_rate', 'n_won', 'n_closed'),
    ] %}
    case when counted.{{ tries }} >= run.minimum_n then cast(counted.{{ hits }} as double) / counted.{{ tries }} end as {{ rate }},
    case when counted.{{ tries }} >= run.minimum_n then {{ wilson_bound('counted.' ~ hits, 'counted.' ~ tries, '-') }} end
        as {{ rate }}_lower,
    case when counted.{{ tries }} >= run.minimum_n then {{ wilson_bound('counted.' ~ hits, 'counted.' ~ tries, '+') }} end
        as {{ rate }}_upper,
    {%- if rate == 'response_rate' %}
    cast(counted.n_leads as bigint) as n_leads,
    cast(counted.n_leads_new as bigint) as n_leads_new,
    cast(counted.n_leads_converted as bigint) as n_leads_converted,
    cast(counted.n_leads_given_up as bigint) as n_leads_given_up,
    cast(counted.n_leads_open as bigint) as n_leads_open,
    {%- elif rate == 'lead_conversion_rate' %}
    cast(counted.n_opportunities as bigint) as n_opportunities,
    cast(counted.n_by_primary_campaign as bigint) as n_by_primary_campaign,
    cast(counted.n_by_first_touch as bigint) as n_by_first_touch,
    cast(counted.n_qualified as bigint) as n_qualified,
    cast(counted.n_open as bigint) as n_open,
    cast(counted.n_won as bigint) as n_won,
    cast(counted.n_lost as bigint) as n_lost,
    cast(counted.n_unmapped as bigint) as n_unmapped,
    {%- endif %}
    {%- endfor %}
    -- no win is no money; wins of unknown amount are unknown money
    cast(case when counted.n_won = 0 then 0 else counted.won_amount end as decimal(28, 2)) as won_amount_corporate,
    cast(counted.n_won_without_amount as bigint) as n_won_without_amount,
    cast(case when counted.n_open = 0 then 0 else counted.open_amount end as decimal(28, 2)) as open_amount_corporate,
    cast(counted.n_open_without_amount as bigint) as n_open_without_amount,
    case when counted.n_leads_converted >= run.minimum_n then counted.p50_days_to_conversion end as p50_days_touch_to_conversion,
    cast(counted.n_touched as bigint) as n_touched,
    case when counted.n_touched >= run.minimum_n then counted.p50_days_touch_to_opportunity end as p50_days_touch_to_opportunity,
    cast(counted.n_won_touched as bigint) as n_won_touched,
    case when counted.n_won_touched >= run.minimum_n then counted.p50_days_touch_to_win end as p50_days_touch_to_win,
    case when counted.n_closed >= run.minimum_n then 'ok' else 'too few' end as reads,
    run.as_of
from counted
cross join run
left join {{ ref('dim_campaign') }} as dim_campaign on counted.campaign_key = dim_campaign.campaign_id

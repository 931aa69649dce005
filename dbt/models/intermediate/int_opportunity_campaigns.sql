with run as (
    select as_of
    from {{ ref('stg_control__run') }}
),

-- people of the deal: those who became it, and those who have a role in it
people as (
    select
        opportunity_id,
        lead_id,
        cast(null as {{ dbt.type_string() }}) as contact_id
    from {{ ref('int_lead_work') }}
    where opportunity_id is not null and outcome <> 'deleted'
    union all
    select distinct
        roles.opportunity_id,
        cast(null as {{ dbt.type_string() }}) as lead_id,
        roles.contact_id
    from {{ ref('stg_salesforce__opportunity_contact_role') }} as roles
    cross join run
    where
        roles.contact_id is not null
        and roles.created_at <= run.as_of
        and not coalesce(roles.is_deleted and roles.last_modified_at <= run.as_of, false)
),

touches as (
    select
        people.opportunity_id,
        members.campaign_id,
        members.campaign_member_id,
        members.reached_at
    from people
    inner join {{ ref('int_campaign_responses') }} as members on people.lead_id = members.lead_id
    where people.lead_id is not null
    union all
    select
        people.opportunity_id,
        members.campaign_id,
        members.campaign_member_id,
        members.reached_at
    from people
    inner join {{ ref('int_campaign_responses') }} as members on people.contact_id = members.contact_id
    where people.contact_id is not null
),

-- what reached them after the deal was there did not bring it
ranked as (
    select
        deals.opportunity_id,
        touches.campaign_id,
        touches.reached_at,
        row_number() over (
            partition by deals.opportunity_id
            order by touches.reached_at, touches.campaign_member_id
        ) as touch_no,
        min(case when touches.campaign_id = deals.campaign_id then touches.reached_at end) over (
            partition by deals.opportunity_id
        ) as reached_by_primary_at
    from {{ ref('int_opportunities') }} as deals
    inner join touches on deals.opportunity_id = touches.opportunity_id and deals.created_at >= touches.reached_at
)

select
    deals.opportunity_id,
    coalesce(deals.campaign_id, ranked.campaign_id) as campaign_id,
    case
        when deals.campaign_id is not null then 'primary campaign'
        when ranked.campaign_id is not null then 'first touch'
        else 'none'
    end as attribution,
    case when deals.campaign_id is not null then ranked.reached_by_primary_at else ranked.reached_at end as touched_at
from {{ ref('int_opportunities') }} as deals
left join ranked on deals.opportunity_id = ranked.opportunity_id and ranked.touch_no = 1

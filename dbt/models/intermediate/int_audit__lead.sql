with run as (
    select * from {{ ref('stg_control__run') }}
),

leads as (
    select
        leads.*,
        work.outcome,
        work.first_worked_at,
        work.outcome = 'open' as is_open,
        work.outcome = 'converted' as is_converted
    from {{ ref('stg_salesforce__lead') }} as leads
    inner join {{ ref('int_lead_work') }} as work on leads.lead_id = work.lead_id
    where work.outcome <> 'deleted'
),

-- an address is landed in small letters and without blanks around it, as a hash or plain: equal ones are one person's
alike as (
    select
        lead_id,
        count(*) over (partition by email_address) as open_leads_alike
    from leads
    where is_open and email_address is not null
),

accounts as (
    select account_id
    from {{ ref('stg_salesforce__account') }}
    where not is_deleted
),

contacts as (
    select contact_id
    from {{ ref('stg_salesforce__contact') }}
    where not is_deleted
),

opportunities as (
    select opportunity_id
    from {{ ref('stg_salesforce__opportunity') }}
    where not is_deleted
)

select
    leads.lead_id as record_id,
    leads.lead_id as row_key,
    leads.company_name as record_name,
    run.record_url_base || '/' || leads.lead_id as record_url,
    leads.owner_id,
    coalesce(owners.owner_name, queues.group_name) as owner_name,
    leads.lead_source,
    leads.lead_status,
    leads.outcome,
    leads.is_open,
    leads.is_converted,
    leads.created_at,
    leads.first_worked_at,
    run.as_of,
    -- a queue owns nothing: nobody in it has to act
    substr(leads.owner_id, 1, 3) = '005' as has_owner,
    24 * {{ elapsed_days('leads.created_at', 'coalesce(leads.first_worked_at, run.as_of)') }} as hours_to_first_touch,
    alike.open_leads_alike,
    case when leads.is_converted then accounts.account_id is not null end as has_account,
    case when leads.is_converted then contacts.contact_id is not null end as has_contact,
    case
        when leads.is_converted and leads.converted_opportunity_id is not null then opportunities.opportunity_id is not null
    end as has_opportunity
from leads
cross join run
left join {{ ref('int_owners') }} as owners on leads.owner_id = owners.owner_id
left join {{ ref('stg_salesforce__group') }} as queues on leads.owner_id = queues.group_id
left join alike on leads.lead_id = alike.lead_id
left join {{ ref('int_accounts') }} as survivors on leads.converted_account_id = survivors.account_id
left join accounts on coalesce(survivors.surviving_account_id, leads.converted_account_id) = accounts.account_id
left join contacts on leads.converted_contact_id = contacts.contact_id
left join opportunities on leads.converted_opportunity_id = opportunities.opportunity_id

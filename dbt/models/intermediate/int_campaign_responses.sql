with run as (
    select
        as_of,
        as_of_on
    from {{ ref('stg_control__run') }}
)

select
    members.campaign_member_id,
    members.campaign_id,
    -- a lead or contact that was merged away goes on as its survivor
    coalesce(merged_leads.master_id, members.lead_id) as lead_id,
    coalesce(merged_contacts.master_id, members.contact_id) as contact_id,
    members.created_at as reached_at,
    case
        when members.has_responded and members.first_responded_on <= run.as_of_on
            then greatest(members.created_at, cast(members.first_responded_on as timestamp))
    end as responded_at
from {{ ref('stg_salesforce__campaign_member') }} as members
cross join run
left join {{ ref('int_merged_records') }} as merged_leads on members.lead_id = merged_leads.loser_id
left join {{ ref('int_merged_records') }} as merged_contacts on members.contact_id = merged_contacts.loser_id
where members.created_at <= run.as_of and not coalesce(members.is_deleted and members.last_modified_at <= run.as_of, false)

{{ config(unique_key='campaign_member_id') }}

with source as (
    select * from {{ source('salesforce', 'campaign_member') }}
    where {{ not_yet_applied() }}
),

renamed as (
    select
        "Id" as campaign_member_id,
        "CampaignId" as campaign_id,
        "LeadId" as lead_id,
        "ContactId" as contact_id,
        "Status" as member_status,
        "HasResponded" as has_responded,
        "FirstRespondedDate" as first_responded_on,
        "IsDeleted" as is_deleted,
        "CreatedDate" as created_at,
        "LastModifiedDate" as last_modified_at,
        "SystemModstamp" as system_modstamp_at,
        _batch_seq,
        _extracted_at,
        _operation
    from source
),

{{ newest_versions('renamed', 'campaign_member_id') }}

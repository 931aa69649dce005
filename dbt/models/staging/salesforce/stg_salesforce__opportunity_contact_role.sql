{{ config(unique_key='opportunity_contact_role_id') }}

with source as (
    select * from {{ source('salesforce', 'opportunity_contact_role') }}
    where {{ not_yet_applied() }}
),

renamed as (
    select
        "Id" as opportunity_contact_role_id,
        "OpportunityId" as opportunity_id,
        "ContactId" as contact_id,
        "Role" as contact_role,
        "IsPrimary" as is_primary,
        "IsDeleted" as is_deleted,
        "CreatedDate" as created_at,
        "LastModifiedDate" as last_modified_at,
        "SystemModstamp" as system_modstamp_at,
        _batch_seq,
        _extracted_at,
        _operation
    from source
),

{{ newest_versions('renamed', 'opportunity_contact_role_id') }}

{{ config(unique_key='lead_id') }}

with source as (
    select * from {{ source('salesforce', 'lead') }}
    where {{ not_yet_applied() }}
),

renamed as (
    select
        "Id" as lead_id,
        "MasterRecordId" as master_lead_id,
        "RecordTypeId" as record_type_id,
        "Email" as email_address,
        "Company" as company_name,
        "Title" as title,
        "Industry" as industry,
        "Rating" as rating,
        "LeadSource" as lead_source,
        "Status" as lead_status,
        "OwnerId" as owner_id,
        "IsConverted" as is_converted,
        "ConvertedDate" as converted_on,
        "ConvertedAccountId" as converted_account_id,
        "ConvertedContactId" as converted_contact_id,
        "ConvertedOpportunityId" as converted_opportunity_id,
        "CurrencyIsoCode" as currency_code,
        "CreatedById" as created_by_id,
        "LastActivityDate" as last_activity_on,
        "IsDeleted" as is_deleted,
        "CreatedDate" as created_at,
        "LastModifiedDate" as last_modified_at,
        "SystemModstamp" as system_modstamp_at,
        _batch_seq,
        _extracted_at,
        _operation
    from source
),

{{ newest_versions('renamed', 'lead_id') }}

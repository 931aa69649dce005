{{ config(unique_key='contact_id') }}

with source as (
    select * from {{ source('salesforce', 'contact') }}
    where {{ not_yet_applied() }}
),

renamed as (
    select
        "Id" as contact_id,
        "MasterRecordId" as master_contact_id,
        "AccountId" as account_id,
        "ReportsToId" as reports_to_id,
        "RecordTypeId" as record_type_id,
        "Email" as email_address,
        "Title" as title,
        "Department" as department,
        "LeadSource" as lead_source,
        "OwnerId" as owner_id,
        "IsEmailBounced" as is_email_bounced,
        "CurrencyIsoCode" as currency_code,
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

{{ newest_versions('renamed', 'contact_id') }}

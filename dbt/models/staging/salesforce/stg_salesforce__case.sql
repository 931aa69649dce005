{{ config(unique_key='case_id') }}

with source as (
    select * from {{ source('salesforce', 'case') }}
    where {{ not_yet_applied() }}
),

renamed as (
    select
        "Id" as case_id,
        "MasterRecordId" as master_case_id,
        "ParentId" as parent_case_id,
        "AccountId" as account_id,
        "ContactId" as contact_id,
        "RecordTypeId" as record_type_id,
        "OwnerId" as owner_id,
        "Type" as case_type,
        "Status" as case_status,
        "Reason" as reason,
        "Origin" as origin,
        "Priority" as priority,
        "IsClosed" as is_closed,
        "IsEscalated" as is_escalated,
        "ClosedDate" as closed_at,
        "CurrencyIsoCode" as currency_code,
        "CreatedById" as created_by_id,
        "IsDeleted" as is_deleted,
        "CreatedDate" as created_at,
        "LastModifiedDate" as last_modified_at,
        "SystemModstamp" as system_modstamp_at,
        _batch_seq,
        _extracted_at,
        _operation
    from source
),

{{ newest_versions('renamed', 'case_id') }}

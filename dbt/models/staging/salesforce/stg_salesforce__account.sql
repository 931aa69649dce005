{{ config(unique_key='account_id') }}

with source as (
    select * from {{ source('salesforce', 'account') }}
    where {{ not_yet_applied() }}
),

renamed as (
    select
        "Id" as account_id,
        "Name" as account_name,
        "Type" as account_type,
        "Industry" as industry,
        "MasterRecordId" as master_account_id,
        "ParentId" as parent_account_id,
        "OwnerId" as owner_id,
        "CurrencyIsoCode" as currency_code,
        "IsDeleted" as is_deleted,
        "CreatedDate" as created_at,
        "LastModifiedDate" as last_modified_at,
        "SystemModstamp" as system_modstamp_at,
        _batch_seq,
        _extracted_at,
        _operation
    from source
),

{{ newest_versions('renamed', 'account_id') }}

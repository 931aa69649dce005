{{ config(unique_key='record_type_id') }}

with source as (
    select * from {{ source('salesforce', 'record_type') }}
    where {{ not_yet_applied() }}
),

renamed as (
    select
        "Id" as record_type_id,
        "Name" as record_type_name,
        "DeveloperName" as developer_name,
        "SobjectType" as sobject_type,
        "BusinessProcessId" as business_process_id,
        "IsActive" as is_active,
        false as is_deleted,
        "CreatedDate" as created_at,
        "LastModifiedDate" as last_modified_at,
        "SystemModstamp" as system_modstamp_at,
        _batch_seq,
        _extracted_at,
        _operation
    from source
),

{{ newest_versions('renamed', 'record_type_id') }}

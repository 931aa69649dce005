{{ config(unique_key='business_process_id') }}

with source as (
    select * from {{ source('salesforce', 'business_process') }}
    where {{ not_yet_applied() }}
),

renamed as (
    select
        "Id" as business_process_id,
        "Name" as process_name,
        "TableEnumOrId" as sobject_type,
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

{{ newest_versions('renamed', 'business_process_id') }}

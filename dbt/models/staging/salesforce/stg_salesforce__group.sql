{{ config(unique_key='group_id') }}

with source as (
    select * from {{ source('salesforce', 'group') }}
    where {{ not_yet_applied() }}
),

renamed as (
    select
        "Id" as group_id,
        "Name" as group_name,
        "DeveloperName" as developer_name,
        "Type" as group_type,
        "RelatedId" as related_id,
        "OwnerId" as owner_id,
        false as is_deleted,
        "CreatedDate" as created_at,
        "LastModifiedDate" as last_modified_at,
        "SystemModstamp" as system_modstamp_at,
        _batch_seq,
        _extracted_at,
        _operation
    from source
),

{{ newest_versions('renamed', 'group_id') }}

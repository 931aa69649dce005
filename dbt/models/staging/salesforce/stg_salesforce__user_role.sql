{{ config(unique_key='user_role_id') }}

with source as (
    select * from {{ source('salesforce', 'user_role') }}
    where {{ not_yet_applied() }}
),

renamed as (
    select
        "Id" as user_role_id,
        "Name" as role_name,
        "DeveloperName" as developer_name,
        "ParentRoleId" as parent_role_id,
        false as is_deleted,
        "LastModifiedDate" as last_modified_at,
        "SystemModstamp" as system_modstamp_at,
        _batch_seq,
        _extracted_at,
        _operation
    from source
),

{{ newest_versions('renamed', 'user_role_id') }}

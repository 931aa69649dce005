{{ config(unique_key='user_id') }}

with source as (
    select * from {{ source('salesforce', 'user') }}
    where {{ not_yet_applied() }}
),

renamed as (
    select
        "Id" as user_id,
        "Name" as user_name,
        "IsActive" as is_active,
        "UserRoleId" as user_role_id,
        "ManagerId" as manager_id,
        "UserType" as user_type,
        mapped_team,
        false as is_deleted,
        "CreatedDate" as created_at,
        "LastModifiedDate" as last_modified_at,
        "SystemModstamp" as system_modstamp_at,
        _batch_seq,
        _extracted_at,
        _operation
    from source
),

{{ newest_versions('renamed', 'user_id') }}

{{ config(unique_key='opportunity_stage_id') }}

with source as (
    select * from {{ source('salesforce', 'opportunity_stage') }}
    where {{ not_yet_applied() }}
),

renamed as (
    select
        "Id" as opportunity_stage_id,
        coalesce("ApiName", "MasterLabel") as stage_name,
        "IsActive" as is_active,
        "IsClosed" as is_closed,
        "IsWon" as is_won,
        false as is_deleted,
        "CreatedDate" as created_at,
        "LastModifiedDate" as last_modified_at,
        "SystemModstamp" as system_modstamp_at,
        _batch_seq,
        _extracted_at,
        _operation
    from source
),

{{ newest_versions('renamed', 'opportunity_stage_id') }}

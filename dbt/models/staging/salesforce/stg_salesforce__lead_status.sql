{{ config(unique_key='lead_status_id') }}

with source as (
    select * from {{ source('salesforce', 'lead_status') }}
    where {{ not_yet_applied() }}
),

renamed as (
    select
        "Id" as lead_status_id,
        "MasterLabel" as label,
        "ApiName" as api_name,
        "SortOrder" as sort_order,
        "IsDefault" as is_default,
        "IsConverted" as is_converted,
        false as is_deleted,
        "CreatedDate" as created_at,
        "LastModifiedDate" as last_modified_at,
        "SystemModstamp" as system_modstamp_at,
        _batch_seq,
        _extracted_at,
        _operation
    from source
),

{{ newest_versions('renamed', 'lead_status_id') }}

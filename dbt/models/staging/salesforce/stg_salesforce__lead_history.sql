{{ config(unique_key='lead_history_id') }}

with source as (
    select * from {{ source('salesforce', 'lead_history') }}
    where {{ not_yet_applied() }}
),

renamed as (
    select
        "Id" as lead_history_id,
        "LeadId" as lead_id,
        "Field" as field_name,
        "DataType" as data_type,
        "OldValue" as old_value,
        "NewValue" as new_value,
        "CreatedById" as created_by_id,
        "IsDeleted" as is_deleted,
        "CreatedDate" as created_at,
        "CreatedDate" as system_modstamp_at,
        _batch_seq,
        _extracted_at,
        _operation
    from source
),

{{ newest_versions('renamed', 'lead_history_id') }}

{{ config(unique_key='case_history_id') }}

with source as (
    select * from {{ source('salesforce', 'case_history') }}
    where {{ not_yet_applied() }}
),

renamed as (
    select
        "Id" as case_history_id,
        "CaseId" as case_id,
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

{{ newest_versions('renamed', 'case_history_id') }}

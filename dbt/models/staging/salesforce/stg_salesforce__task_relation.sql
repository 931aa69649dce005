{{ config(unique_key='task_relation_id') }}

with source as (
    select * from {{ source('salesforce', 'task_relation') }}
    where {{ not_yet_applied() }}
),

renamed as (
    select
        "Id" as task_relation_id,
        "TaskId" as task_id,
        "RelationId" as relation_id,
        "IsWhat" as is_what,
        "IsDeleted" as is_deleted,
        "CreatedDate" as created_at,
        "LastModifiedDate" as last_modified_at,
        "SystemModstamp" as system_modstamp_at,
        _batch_seq,
        _extracted_at,
        _operation
    from source
),

{{ newest_versions('renamed', 'task_relation_id') }}

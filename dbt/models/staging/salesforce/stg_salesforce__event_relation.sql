{{ config(unique_key='event_relation_id') }}

with source as (
    select * from {{ source('salesforce', 'event_relation') }}
    where {{ not_yet_applied() }}
),

renamed as (
    select
        "Id" as event_relation_id,
        "EventId" as event_id,
        "RelationId" as relation_id,
        "Status" as response_status,
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

{{ newest_versions('renamed', 'event_relation_id') }}

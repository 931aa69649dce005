{{ config(unique_key='email_message_relation_id') }}

with source as (
    select * from {{ source('salesforce', 'email_message_relation') }}
    where {{ not_yet_applied() }}
),

renamed as (
    select
        "Id" as email_message_relation_id,
        "EmailMessageId" as email_message_id,
        "RelationId" as relation_id,
        "RelationType" as relation_type,
        "RelationObjectType" as relation_object_type,
        "RelationAddress" as email_address,
        "IsDeleted" as is_deleted,
        "CreatedDate" as created_at,
        "LastModifiedDate" as last_modified_at,
        "SystemModstamp" as system_modstamp_at,
        _batch_seq,
        _extracted_at,
        _operation
    from source
),

{{ newest_versions('renamed', 'email_message_relation_id') }}

{{ config(unique_key='email_message_id') }}

with source as (
    select * from {{ source('salesforce', 'email_message') }}
    where {{ not_yet_applied() }}
),

renamed as (
    select
        "Id" as email_message_id,
        "ParentId" as parent_id,
        "ActivityId" as activity_id,
        "RelatedToId" as related_to_id,
        "ReplyToEmailMessageId" as reply_to_email_message_id,
        "CreatedById" as created_by_id,
        "ThreadIdentifier" as thread_identifier,
        "Status" as email_status,
        "Incoming" as is_incoming,
        "IsBounced" as is_bounced,
        "MessageDate" as message_at,
        "IsDeleted" as is_deleted,
        "CreatedDate" as created_at,
        "LastModifiedDate" as last_modified_at,
        "SystemModstamp" as system_modstamp_at,
        _batch_seq,
        _extracted_at,
        _operation
    from source
),

{{ newest_versions('renamed', 'email_message_id') }}

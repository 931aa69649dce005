{{ config(unique_key='task_id') }}

with source as (
    select * from {{ source('salesforce', 'task') }}
    where {{ not_yet_applied() }}
),

renamed as (
    select
        "Id" as task_id,
        "WhoId" as who_id,
        "WhatId" as what_id,
        "AccountId" as account_id,
        "OwnerId" as owner_id,
        "Status" as task_status,
        "TaskSubtype" as task_subtype,
        "CallType" as call_type,
        "Type" as task_type,
        "IsClosed" as is_closed,
        "IsArchived" as is_archived,
        "ActivityDate" as activity_on,
        "CompletedDateTime" as completed_at,
        "Leanfunnel_Key__c" as leanfunnel_key,
        "IsDeleted" as is_deleted,
        "CreatedDate" as created_at,
        "LastModifiedDate" as last_modified_at,
        "SystemModstamp" as system_modstamp_at,
        _batch_seq,
        _extracted_at,
        _operation
    from source
),

{{ newest_versions('renamed', 'task_id') }}

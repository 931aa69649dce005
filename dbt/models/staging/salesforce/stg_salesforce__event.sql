{{ config(unique_key='event_id') }}

with source as (
    select * from {{ source('salesforce', 'event') }}
    where {{ not_yet_applied() }}
),

renamed as (
    select
        "Id" as event_id,
        "WhoId" as who_id,
        "WhatId" as what_id,
        "AccountId" as account_id,
        "OwnerId" as owner_id,
        "EventSubtype" as event_subtype,
        "Type" as event_type,
        "IsAllDayEvent" as is_all_day,
        "IsArchived" as is_archived,
        "ActivityDate" as activity_on,
        "StartDateTime" as started_at,
        "EndDateTime" as ended_at,
        "IsDeleted" as is_deleted,
        "CreatedDate" as created_at,
        "LastModifiedDate" as last_modified_at,
        "SystemModstamp" as system_modstamp_at,
        _batch_seq,
        _extracted_at,
        _operation
    from source
),

{{ newest_versions('renamed', 'event_id') }}

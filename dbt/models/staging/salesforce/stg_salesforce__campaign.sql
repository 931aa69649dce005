{{ config(unique_key='campaign_id') }}

with source as (
    select * from {{ source('salesforce', 'campaign') }}
    where {{ not_yet_applied() }}
),

renamed as (
    select
        "Id" as campaign_id,
        "Name" as campaign_name,
        "ParentId" as parent_campaign_id,
        "Type" as campaign_type,
        "Status" as campaign_status,
        "StartDate" as start_on,
        "EndDate" as end_on,
        "IsActive" as is_active,
        "BudgetedCost" as budgeted_cost,
        "ActualCost" as actual_cost,
        "CurrencyIsoCode" as currency_code,
        "OwnerId" as owner_id,
        "IsDeleted" as is_deleted,
        "CreatedDate" as created_at,
        "LastModifiedDate" as last_modified_at,
        "SystemModstamp" as system_modstamp_at,
        _batch_seq,
        _extracted_at,
        _operation
    from source
),

{{ newest_versions('renamed', 'campaign_id') }}

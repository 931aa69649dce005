{{ config(unique_key='opportunity_history_id') }}

with source as (
    select * from {{ source('salesforce', 'opportunity_history') }}
    where {{ not_yet_applied() }}
),

renamed as (
    select
        "Id" as opportunity_history_id,
        "OpportunityId" as opportunity_id,
        "CreatedById" as created_by_id,
        "StageName" as stage_name,
        "ForecastCategory" as forecast_category,
        "Amount" as amount,
        "CurrencyIsoCode" as currency_code,
        "Probability" as probability_percent,
        "CloseDate" as close_on,
        "IsDeleted" as is_deleted,
        "CreatedDate" as created_at,
        "SystemModstamp" as system_modstamp_at,
        _batch_seq,
        _extracted_at,
        _operation
    from source
),

{{ newest_versions('renamed', 'opportunity_history_id') }}

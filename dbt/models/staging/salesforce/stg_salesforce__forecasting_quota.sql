{{ config(unique_key='forecasting_quota_id') }}

with source as (
    select * from {{ source('salesforce', 'forecasting_quota') }}
    where {{ not_yet_applied() }}
),

renamed as (
    select
        "Id" as forecasting_quota_id,
        "QuotaOwnerId" as quota_owner_id,
        "PeriodId" as period_id,
        "StartDate" as start_on,
        "IsAmount" as is_amount,
        "IsQuantity" as is_quantity,
        "QuotaAmount" as quota_amount,
        "QuotaQuantity" as quota_quantity,
        "ForecastingTypeId" as forecasting_type_id,
        "CurrencyIsoCode" as currency_code,
        false as is_deleted,
        "CreatedDate" as created_at,
        "LastModifiedDate" as last_modified_at,
        "SystemModstamp" as system_modstamp_at,
        _batch_seq,
        _extracted_at,
        _operation
    from source
),

{{ newest_versions('renamed', 'forecasting_quota_id') }}

{{ config(unique_key='period_id') }}

with source as (
    select * from {{ source('salesforce', 'period') }}
    where {{ not_yet_applied() }}
),

renamed as (
    select
        "Id" as period_id,
        "FiscalYearSettingsId" as fiscal_year_settings_id,
        "Type" as period_type,
        "Number" as period_number,
        "StartDate" as start_on,
        "EndDate" as end_on,
        "IsForecastPeriod" as is_forecast_period,
        "QuarterLabel" as quarter_label,
        "PeriodLabel" as period_label,
        "FullyQualifiedLabel" as full_label,
        false as is_deleted,
        "SystemModstamp" as system_modstamp_at,
        _batch_seq,
        _extracted_at,
        _operation
    from source
),

{{ newest_versions('renamed', 'period_id') }}

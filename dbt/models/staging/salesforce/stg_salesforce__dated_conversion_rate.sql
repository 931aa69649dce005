{{ config(unique_key='dated_conversion_rate_id') }}

with source as (
    select * from {{ source('salesforce', 'dated_conversion_rate') }}
    where {{ not_yet_applied() }}
),

renamed as (
    select
        "Id" as dated_conversion_rate_id,
        "IsoCode" as currency_code,
        "ConversionRate" as conversion_rate,
        "StartDate" as start_on,
        "NextStartDate" as next_start_on,
        false as is_deleted,
        "CreatedDate" as created_at,
        "LastModifiedDate" as last_modified_at,
        "SystemModstamp" as system_modstamp_at,
        _batch_seq,
        _extracted_at,
        _operation
    from source
),

{{ newest_versions('renamed', 'dated_conversion_rate_id') }}

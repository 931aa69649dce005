{{ config(unique_key='currency_type_id') }}

with source as (
    select * from {{ source('salesforce', 'currency_type') }}
    where {{ not_yet_applied() }}
),

renamed as (
    select
        "Id" as currency_type_id,
        "IsoCode" as currency_code,
        "ConversionRate" as conversion_rate,
        "DecimalPlaces" as decimal_places,
        "IsActive" as is_active,
        "IsCorporate" as is_corporate,
        false as is_deleted,
        "CreatedDate" as created_at,
        "LastModifiedDate" as last_modified_at,
        "SystemModstamp" as system_modstamp_at,
        _batch_seq,
        _extracted_at,
        _operation
    from source
),

{{ newest_versions('renamed', 'currency_type_id') }}

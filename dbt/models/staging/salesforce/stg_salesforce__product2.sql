{{ config(unique_key='product_id') }}

with source as (
    select * from {{ source('salesforce', 'product2') }}
    where {{ not_yet_applied() }}
),

renamed as (
    select
        "Id" as product_id,
        "Name" as product_name,
        "ProductCode" as product_code,
        "Family" as product_family,
        "IsActive" as is_active,
        "CurrencyIsoCode" as currency_code,
        "IsDeleted" as is_deleted,
        "CreatedDate" as created_at,
        "LastModifiedDate" as last_modified_at,
        "SystemModstamp" as system_modstamp_at,
        _batch_seq,
        _extracted_at,
        _operation
    from source
),

{{ newest_versions('renamed', 'product_id') }}

{{ config(unique_key='opportunity_line_item_id') }}

with source as (
    select * from {{ source('salesforce', 'opportunity_line_item') }}
    where {{ not_yet_applied() }}
),

renamed as (
    select
        "Id" as opportunity_line_item_id,
        "OpportunityId" as opportunity_id,
        "Product2Id" as product_id,
        "Quantity" as quantity,
        "UnitPrice" as unit_price,
        "ListPrice" as list_price,
        "TotalPrice" as total_price,
        "Discount" as discount_percent,
        "ServiceDate" as service_on,
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

{{ newest_versions('renamed', 'opportunity_line_item_id') }}

{{ config(unique_key='opportunity_id') }}

with source as (
    select * from {{ source('salesforce', 'opportunity') }}
    where {{ not_yet_applied() }}
),

renamed as (
    select
        "Id" as opportunity_id,
        "AccountId" as account_id,
        "RecordTypeId" as record_type_id,
        "OwnerId" as owner_id,
        "CreatedById" as created_by_id,
        "CampaignId" as campaign_id,
        "Name" as opportunity_name,
        "StageName" as stage_name,
        "Type" as opportunity_type,
        "LeadSource" as lead_source,
        "ForecastCategoryName" as forecast_category,
        "Amount" as amount,
        "CurrencyIsoCode" as currency_code,
        "Probability" as probability_percent,
        "IsClosed" as is_closed_flag,
        "IsWon" as is_won_flag,
        "CloseDate" as close_on,
        "LastActivityDate" as last_activity_on,
        "LastStageChangeDate" as last_stage_change_at,
        nullif(trim("mapped_skip_reason"), '') as skip_reason,
        nullif(trim("mapped_return_reason"), '') as return_reason,
        nullif(trim("mapped_loss_reason"), '') as loss_reason,
        nullif(trim("mapped_segment"), '') as segment,
        {%- for number in range(1, 5) %}
        nullif(trim("mapped_dimension_{{ number }}"), '') as dimension_{{ number }},
        {%- endfor %}
        "mapped_close_date_reviewed_on" as close_date_reviewed_on,
        "IsDeleted" as is_deleted,
        "CreatedDate" as created_at,
        "LastModifiedDate" as last_modified_at,
        "SystemModstamp" as system_modstamp_at,
        _batch_seq,
        _extracted_at,
        _operation
    from source
),

{{ newest_versions('renamed', 'opportunity_id', ['last_modified_at', 'stage_name', 'close_on', 'amount']) }}

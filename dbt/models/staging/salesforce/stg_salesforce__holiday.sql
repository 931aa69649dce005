{{ config(unique_key='holiday_id') }}

with source as (
    select * from {{ source('salesforce', 'holiday') }}
    where {{ not_yet_applied() }}
),

renamed as (
    select
        "Id" as holiday_id,
        "Name" as holiday_name,
        "ActivityDate" as holiday_on,
        "IsAllDay" as is_all_day,
        "StartTimeInMinutes" as start_minute,
        "EndTimeInMinutes" as end_minute,
        "IsRecurrence" as is_recurring,
        "RecurrenceType" as recurrence_type,
        "RecurrenceStartDate" as recurrence_start_on,
        "RecurrenceEndDateOnly" as recurrence_end_on,
        "RecurrenceInterval" as recurrence_interval,
        "RecurrenceDayOfWeekMask" as recurrence_weekday_mask,
        "RecurrenceDayOfMonth" as recurrence_day_of_month,
        "RecurrenceInstance" as recurrence_instance,
        "RecurrenceMonthOfYear" as recurrence_month,
        false as is_deleted,
        "CreatedDate" as created_at,
        "LastModifiedDate" as last_modified_at,
        "SystemModstamp" as system_modstamp_at,
        _batch_seq,
        _extracted_at,
        _operation
    from source
),

{{ newest_versions('renamed', 'holiday_id') }}

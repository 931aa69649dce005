{%- set months = [
    'January', 'February', 'March', 'April', 'May', 'June', 'July', 'August', 'September', 'October', 'November', 'December',
] -%}
select
    holiday_id,
    holiday_name,
    holiday_on,
    case when is_recurring then recurrence_type end as recurrence_type,
    coalesce(recurrence_start_on, holiday_on) as starts_on,
    coalesce(recurrence_end_on, cast({{ end_of_time() }} as date)) as ends_on,
    case recurrence_month
        {%- for month in months %}
        when '{{ month }}' then {{ loop.index }}
        {%- endfor %}
    end as month_of_year,
    recurrence_day_of_month as day_of_month,
    case
        when not coalesce(is_recurring, false) then 'once'
        when recurrence_type = 'RecursYearly' and recurrence_day_of_month is not null and recurrence_month is not null then 'yearly'
        else 'not read'
    end as falls
from {{ ref('stg_salesforce__holiday') }}
where not is_deleted and coalesce(is_all_day, true)

{%- set objects = [
    ('Opportunity', 'stg_salesforce__opportunity'),
    ('OpportunityHistory', 'stg_salesforce__opportunity_history'),
    ('OpportunityStage', 'stg_salesforce__opportunity_stage'),
    ('OpportunityContactRole', 'stg_salesforce__opportunity_contact_role'),
    ('Account', 'stg_salesforce__account'),
    ('User', 'stg_salesforce__user'),
    ('RecordType', 'stg_salesforce__record_type'),
    ('Task', 'stg_salesforce__task'),
    ('Event', 'stg_salesforce__event'),
    ('EventRelation', 'stg_salesforce__event_relation'),
    ('EmailMessage', 'stg_salesforce__email_message'),
    ('CurrencyType', 'stg_salesforce__currency_type'),
    ('DatedConversionRate', 'stg_salesforce__dated_conversion_rate'),
] -%}
with landed as (
    select
        *,
        max(read_at) over () as last_read_at
    from {{ ref('stg_control__landed_object') }}
),

-- what the newest batch deleted stood before it
standing as (
    {%- for object, model in objects %}
    select
        '{{ object }}' as object,
        coalesce(sum(case when is_deleted then 0 else 1 end), 0) as rows_standing,
        coalesce(sum(case when is_deleted and _batch_seq = newest_batch_seq then 1 else 0 end), 0) as rows_gone
    from (
        select
            is_deleted,
            _batch_seq,
            max(_batch_seq) over () as newest_batch_seq
        from {{ ref(model) }}
    ) as rows_known
    {%- if not loop.last %}
    union all
    {%- endif %}
    {%- endfor %}
)

select
    landed.object as row_key,
    cast(null as {{ dbt.type_string() }}) as record_id,
    landed.object,
    landed.mode,
    landed.counted,
    landed.received,
    -- on a live org rows leave a window while it is read: what arrived lies between the two counts
    case
        when landed.received < least(landed.counted, coalesce(landed.counted_after, landed.counted))
            then least(landed.counted, coalesce(landed.counted_after, landed.counted)) - landed.received
        when landed.received > greatest(landed.counted, coalesce(landed.counted_after, landed.counted))
            then landed.received - greatest(landed.counted, coalesce(landed.counted_after, landed.counted))
        when landed.received is not null and landed.counted is not null then 0
    end as rows_off_count,
    standing.rows_standing,
    standing.rows_gone,
    -- the first load brings what was deleted long ago: it shows no fall
    case
        when landed.is_first_load then 0.0
        when standing.rows_standing + standing.rows_gone > 0
            then cast(standing.rows_gone as double) / (standing.rows_standing + standing.rows_gone)
    end as share_gone,
    landed.read_at,
    -- against the last extraction, not as_of: a run may be asked for a day after all that was read
    24 * {{ elapsed_days('landed.read_at', 'landed.last_read_at') }} as hours_behind
from landed
inner join standing on landed.object = standing.object

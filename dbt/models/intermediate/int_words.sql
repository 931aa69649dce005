-- few words, of many rows: what the mart stores by number instead of text
{%- set traits = [
    'lead_source', 'segment', 'opportunity_type', 'industry', 'account_standing', 'contact_roles', 'responses_before', 'people_met',
] %}
with told as (
    select
        'stage' as word_kind,
        stage_name as word
    from {{ ref('int_opportunity_history') }}
    union
    select
        'stage' as word_kind,
        stage_name as word
    from {{ ref('stg_control__stage_map') }}
    union
    select
        'sales_process' as word_kind,
        sales_process as word
    from {{ ref('int_opportunity_history') }}
    union
    select
        'sales_process' as word_kind,
        sales_process as word
    from {{ ref('stg_control__stage_map') }}
    {%- for column in ['step', 'location'] %}
    union
    select
        '{{ column }}' as word_kind,
        {{ column }} as word
    from {{ ref('stg_control__stage_map') }}
    {%- endfor %}
    {%- for column in traits %}
    union
    select
        '{{ column }}' as word_kind,
        {{ column }} as word
    from {{ ref('int_stage_entries') }}
    {%- endfor %}
)

select
    word_kind,
    word
from told
where word is not null

-- few words, of many rows: what the mart stores by number instead of text. Words of the process alone: what anybody may write into a field
-- can name a person, and must be able to go
with told as (
    select
        'stage' as word_kind,
        stage_name as word
    from {{ ref('int_opportunity_history') }}
    union
    select
        'sales_process' as word_kind,
        sales_process as word
    from {{ ref('int_opportunity_history') }}
    {%- for kind, column in {
        'stage': 'stage_name', 'sales_process': 'sales_process', 'step': 'step', 'location': 'location',
    }.items() %}
    union
    select
        '{{ kind }}' as word_kind,
        {{ column }} as word
    from {{ ref('stg_control__stage_map') }}
    {%- endfor %}
)

select
    word_kind,
    word
from told
where word is not null

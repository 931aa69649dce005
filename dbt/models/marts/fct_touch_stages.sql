{%- do ref('int_words') -%}
{%- set counts = ['touches', 'touches_answered', 'touches_waiting', 'responses', 'n_unknown_direction'] -%}
with deals as (
    select
        opportunity_id,
        sales_process,
        is_open,
        is_set_aside
    from {{ ref('fct_opportunities') }}
    where not is_deleted
),

set_aside as (
    select opportunity_id
    from deals
    where is_set_aside
),

-- as in fct_stage_visits, nothing is as defined of a deal set aside
touches as (
    select
        touches.*,
        false as is_set_aside
    from {{ ref('int_touch_stages') }} as touches
    where touches.opportunity_id not in (select set_aside.opportunity_id from set_aside)
    union all
    select
        touches.opportunity_id,
        touches.stage_name,
        cast(null as {{ dbt.type_string() }}) as evidenced_stage_name,
        touches.activity_kind,
        {%- for column in counts %}
        sum(touches.{{ column }}) as {{ column }},
        {%- endfor %}
        max(touches.last_touch_at) as last_touch_at,
        max(touches.last_response_at) as last_response_at,
        true as is_set_aside
    from {{ ref('int_touch_stages') }} as touches
    inner join set_aside on touches.opportunity_id = set_aside.opportunity_id
    group by touches.opportunity_id, touches.stage_name, touches.activity_kind
)

select
    deals.opportunity_id,
    deals.sales_process,
    touches.stage_name,
    touches.evidenced_stage_name,
    {{ evidenced_part('touches.is_set_aside', 'touches.stage_name', 'touches.evidenced_stage_name') }} as evidenced_in,
    touches.activity_kind,
    {%- for column in counts %}
    {%- if column == 'touches_waiting' %}
    cast(case when deals.is_open then touches.{{ column }} else 0 end as bigint) as {{ column }},
    {%- else %}
    cast(touches.{{ column }} as bigint) as {{ column }},
    {%- endif %}
    {%- endfor %}
    touches.last_touch_at,
    touches.last_response_at
from touches
inner join deals on touches.opportunity_id = deals.opportunity_id

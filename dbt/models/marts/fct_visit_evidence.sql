{%- do ref('int_words') -%}
with run as (
    select as_of from {{ ref('stg_control__run') }}
),

set_aside as (
    select {{ deal_key('opportunity_id') }} as deal_key
    from {{ ref('fct_opportunities') }}
    where is_set_aside
),

-- as in fct_stage_visits, nothing is as defined of a deal set aside
visits as (
    select
        evidence.opportunity_id,
        evidence.sales_process,
        evidence.visit_seq,
        evidence.stage_name,
        evidence.entered_at,
        evidence.exited_at,
        evidence.exit_kind,
        evidence.is_mapped,
        evidence.is_closed_stage,
        evidence.is_first_entry,
        evidence.is_left_truncated,
        evidence.is_start_imputed,
        set_aside.deal_key is not null as is_set_aside,
        {%- for column in ['evidenced_stage_at_entry', 'evidenced_stage_at_end', 'same_since', 'earlier_since'] %}
        case when set_aside.deal_key is null then evidence.{{ column }} end as {{ column }},
        {%- endfor %}
        {%- for column in ['microseconds_same', 'microseconds_earlier'] %}
        case when set_aside.deal_key is null then evidence.{{ column }} else 0 end as {{ column }},
        {%- endfor %}
        run.as_of
    from {{ ref('int_visit_evidence') }} as evidence
    cross join run
    left join set_aside on {{ deal_key('evidence.opportunity_id') }} = set_aside.deal_key
)

select
    opportunity_id,
    sales_process,
    visit_seq,
    stage_name,
    entered_at,
    exit_kind,
    is_mapped,
    is_closed_stage,
    is_first_entry,
    is_left_truncated,
    is_start_imputed,
    evidenced_stage_at_entry,
    {{ evidenced_part('is_set_aside', 'stage_name', 'evidenced_stage_at_entry') }} as evidenced_at_entry,
    evidenced_stage_at_end,
    {{ evidenced_part('is_set_aside', 'stage_name', 'evidenced_stage_at_end') }} as evidenced_at_end,
    cast({{ exact_seconds('entered_at', 'coalesce(exited_at, as_of)') }} as decimal(18, 6)) as seconds,
    cast((microseconds_same + {{ elapsed_microseconds('coalesce(same_since, as_of)', 'as_of') }}) * 0.000001 as decimal(18, 6))
        as seconds_same,
    cast((microseconds_earlier + {{ elapsed_microseconds('coalesce(earlier_since, as_of)', 'as_of') }}) * 0.000001 as decimal(18, 6))
        as seconds_earlier
from visits

{#- Traits that may foretell an outcome: `fields` as given, if each is known before it.

A field that is set by the outcome, or moved until it, separates won from lost perfectly and foretells nothing: it is refused
when the project is parsed.
-#}
{% macro known_before_outcome(fields) -%}
    {%- set hindsight = [
        'stage_name', 'stage_order', 'step', 'step_rank', 'location', 'is_open', 'is_won', 'is_lost', 'is_closed', 'is_closed_flag',
        'is_won_flag', 'closed_at', 'close_on', 'amount', 'amount_corporate', 'days_in_stage', 'cumulative_days_in_stage', 'exited_at',
        'exit_kind', 'next_stage_name', 'days_open', 'probability', 'forecast_category', 'loss_reason', 'evidenced_stage_name',
        'evidenced_in', 'is_set_aside', 'last_modified_at', 'last_customer_response_at', 'last_inbound_at', 'last_touch_at',
        'customer_responses'
    ] -%}
    {%- for field in fields if field | lower in hindsight -%}
        {{ exceptions.raise_compiler_error(
            "the trait '" ~ field ~ "' is known only after the outcome, so it foretells nothing. "
            ~ "Take its value at stage entry in int_stage_entries, or leave it out."
        ) }}
    {%- endfor -%}
    {{ return(fields) }}
{%- endmacro %}

{#- What rpt_winnability splits stage entries by: columns of fct_stage_entries. The first ones tell the current value. -#}
{% macro traits_carried_back() -%}
    {{ return(['lead_source', 'segment', 'opportunity_type', 'industry']) }}
{%- endmacro %}

{% macro winnability_traits() -%}
    {{ return(known_before_outcome(traits_carried_back() + [
        'account_standing', 'contact_roles', 'responses_before', 'people_met', 'amount_at_entry', 'way_in'
    ])) }}
{%- endmacro %}

{#- The configured stage-entry definitions, a row each: definition_id, evidence, evidence_sql, asked_sql. Read when the model is
    compiled, as terms are: no model spells a threshold. Where nothing was built yet (linting) there is none. -#}
{% macro entry_rules() %}
    {%- set relation = ref('stg_control__definition') -%}
    {%- if not execute or load_relation(relation) is none -%}
        {{ return([]) }}
    {%- endif -%}
    {%- set found = run_query(
        "select definition_id, evidence, evidence_sql, asked_sql from " ~ relation
        ~ " where kind = 'stage_entry' and is_configured and evidence_sql is not null order by rule_number, definition_id"
    ) -%}
    {{ return(found.rows) }}
{% endmacro %}

{#- What the enforced stage-entry definitions ask, by the step from which on they ask it: a list of (from_step_rank, definition_ids), in
order of rank. Read as above; where nothing was built yet, one stands for what a real one would render. -#}
{% macro enforced_entry_ranks() %}
    {%- set relation = ref('stg_control__definition') -%}
    {%- if not execute or load_relation(relation) is none -%}
        {{ return([(1, ['none'])]) }}
    {%- endif -%}
    {%- set found = run_query(
        "select from_step_rank, definition_id from " ~ relation
        ~ " where kind = 'stage_entry' and mode = 'enforce' and is_configured and from_step_rank is not null and evidence is not null"
        ~ " order by from_step_rank, definition_id"
    ) -%}
    {%- set ranks = [] -%}
    {%- for rank, rules in found.rows | groupby(0) -%}
        {%- do ranks.append((rank | int, rules | map(attribute=1) | list)) -%}
    {%- endfor -%}
    {{ return(ranks) }}
{% endmacro %}

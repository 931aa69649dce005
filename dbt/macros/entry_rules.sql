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

{#- The condition of a term, as the organisation's terms.yml declares it: no model spells one. Its columns stand in the model
    unqualified. Read when the model is compiled, so that a changed term needs no new parse; where nothing was built yet
    (linting) there is nothing to read. -#}
{% macro term(name) %}
    {%- set relation = ref('stg_control__term') -%}
    {%- if not execute or load_relation(relation) is none -%}
        cast(null as {{ dbt.type_boolean() }})
    {%- else -%}
        {%- set found = run_query("select condition_sql from " ~ relation ~ " where term = '" ~ name ~ "'").columns[0].values() -%}
        {%- if found | length != 1 -%}
            {{ exceptions.raise_compiler_error("the term '" ~ name ~ "' is declared " ~ found | length ~ " times in terms.yml, not once") }}
        {%- endif -%}
        {{ found[0] }}
    {%- endif -%}
{% endmacro %}

{#- Whether a row of stg_salesforce__event_relation is somebody of the customer's: key prefix 003 (Contact) or 00Q (Lead). -#}
{% macro is_outsider(person_id) -%}
    substr({{ person_id }}, 1, 3) in ('003', '00Q')
{%- endmacro %}

{#- Whether such a person is to attend: who declined does not. -#}
{% macro attends(relations) -%}
    not {{ relations }}.is_deleted
    and {{ is_outsider(relations ~ '.relation_id') }}
    and coalesce({{ relations }}.response_status, '') <> 'Declined'
{%- endmacro %}

{#- Whether a lead's status means that it was given up. Salesforce flags only the status of a conversion (LeadStatus.IsConverted):
the rest is told from its name, in the words that orgs use. -#}
{% macro is_given_up(status) -%}
    (
        {%- for word in ['not converted', 'closed', 'unqualif', 'disqualif', 'reject', 'refus', 'recycl', 'nurtur', 'dead', 'junk', 'lost'] %}
        {{ 'or ' if not loop.first }}lower({{ status }}) like '%{{ word }}%'
        {%- endfor %}
    )
{%- endmacro %}

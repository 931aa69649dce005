{#- Unique and never NULL, in one pass: two tests for each key were half of all nodes of a build. Of a model that works deal by deal,
`of_deal` names the column of the deal: of deals that were not made anew, nothing can have become wrong. Only where all that the rows rest
on is in the deal's checksum. -#}
{% test primary_key(model, column_name, of_deal=none) %}
{{ rows_of_one_key(model, [column_name], 'true', of_deal) }} or {{ column_name }} is null
{% endtest %}

{#- In place of dbt's own: the same rows, sooner. -#}
{% test unique(model, column_name, of_deal=none) %}
{{ rows_of_one_key(model, [column_name], column_name ~ ' is not null', of_deal) }}
{% endtest %}

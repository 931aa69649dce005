{#- A key of several columns: no two rows agree in all of them. A key of text made for the test alone would be written for each row.
`of_deal` as in `primary_key`. -#}
{% test unique_together(model, columns, of_deal=none) %}
{{ rows_of_one_key(model, columns, 'true', of_deal) }}
{% endtest %}

{#- A key of several columns: no two rows agree in all of them. A key of text made for the test alone would be written for each row.
`of_deal` as in primary_key. -#}
{% test unique_together(model, columns, of_deal=none) %}
select
    {{ columns | join(', ') }},
    count(*) as n_rows
from {{ model }}
{%- if of_deal %}
where {{ is_marked(of_deal) }}
{%- endif %}
group by {{ columns | join(', ') }}
having count(*) > 1
{% endtest %}

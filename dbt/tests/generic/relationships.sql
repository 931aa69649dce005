{#- In place of dbt's own. Where both sides are of a deal, `of_deal` names its column in both: of deals that were not made anew, nothing
can have become wrong. -#}
{% test relationships(model, column_name, to, field, of_deal=none) %}
select children.from_field
from (
    select {{ column_name }} as from_field
    from {{ model }}
    where {{ column_name }} is not null{{ ' and ' ~ is_marked(of_deal) if of_deal }}
) as children
left join (
    select {{ field }} as to_field
    from {{ to }}
    where {{ is_marked(of_deal) if of_deal else 'true' }}
) as parents on children.from_field = parents.to_field
where parents.to_field is null
{% endtest %}

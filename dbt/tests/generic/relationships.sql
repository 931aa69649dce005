{#- In place of dbt's own. Where both sides are of a deal, `of_deal` names its column in both: of deals that were not made anew, nothing
can have become wrong. -#}
{% test relationships(model, column_name, to, field, of_deal=none) %}
{%- set of_marked = is_marked(of_deal) if of_deal else 'true' -%}
{%- set orphans -%}
select children.from_field
from (
    select {{ column_name }} as from_field
    from {{ model }}
    where {{ column_name }} is not null and {{ of_marked }}
) as children
left join (
    select {{ field }} as to_field
    from {{ to }}
    where {{ of_marked }}
) as parents on children.from_field = parents.to_field
where parents.to_field is null
{%- endset -%}
{{ orphans if of_marked.strip() == 'true' or told_of_few('select count(*) as n from (' ~ orphans ~ ') as orphans') > 0
    else 'select 1 as orphan where false' }}
{% endtest %}

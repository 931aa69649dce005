{%- do ref('int_words') -%}
{%- if a_currency_is_held() -%}
-- the enforced contract names the columns: both parts have one shape
with {{ changes_of_held() }},

{{ reported_states('changes_of_held') }},

movements_of_held as (
    {{ pipeline_movements('compared', held='held') }}
)

select * from {{ ref('int_pipeline_movements') }}
where opportunity_id not in (select deals_of_held.opportunity_id from deals_of_held)
union all
select * from movements_of_held
{%- else -%}
select * from {{ ref('int_pipeline_movements') }}
{%- endif %}

{%- do ref('int_words') -%}
-- the enforced contract names the columns: both parts have one shape
-- as in fct_stage_visits, nothing is as defined of a deal set aside
with set_aside as (
    select opportunity_id
    from {{ ref('fct_opportunities') }}
    where is_set_aside
)

{%- if a_currency_is_held() %},

{{ changes_of_held() }},

visits_of_held as (
    select visits.*
    from {{ ref('int_evidenced_stage_visits') }} as visits
    inner join deals_of_held on visits.opportunity_id = deals_of_held.opportunity_id
),

{{ evidenced_states('changes_of_held', 'visits_of_held') }},

movements_of_held as (
    {{ pipeline_movements('compared', ['visit_seq'], held='held') }}
)

select * from {{ ref('int_evidenced_movements') }}
where
    opportunity_id not in (select deals_of_held.opportunity_id from deals_of_held)
    and opportunity_id not in (select set_aside.opportunity_id from set_aside)
union all
select * from movements_of_held
where opportunity_id not in (select set_aside.opportunity_id from set_aside)
{%- else %}

select * from {{ ref('int_evidenced_movements') }}
where opportunity_id not in (select set_aside.opportunity_id from set_aside)
{%- endif %}

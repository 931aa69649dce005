with currencies as (
    select
        currency_code,
        count(*) as n_deals,
        sum(amount) as amount
    from {{ ref('int_opportunities') }}
    where not is_deleted and amount is not null
    group by currency_code
),

overrides as (
    select
        definition_id,
        definition_version
    from {{ ref('stg_control__override') }}
)

select
    held.definition_id || ': ' || held.scope || ' ' || held.scope_value as held_key,
    held.definition_id,
    held.definition_version,
    definitions.title,
    definitions.fix,
    held.scope,
    held.scope_value,
    held.breached,
    held.judged,
    overrides.definition_id is not null as is_overridden,
    case when held.scope = 'currency' then coalesce(currencies.n_deals, 0) end as n_deals,
    case when held.scope = 'currency' then cast(currencies.amount as decimal(38, 2)) end as amount,
    held.dependent_views
from {{ ref('stg_audit__held_scope') }} as held
inner join {{ ref('dim_definition') }} as definitions
    on held.definition_id = definitions.definition_id and held.definition_version = definitions.definition_version
left join overrides
    on held.definition_id = overrides.definition_id and held.definition_version = overrides.definition_version
left join currencies on held.scope = 'currency' and held.scope_value = currencies.currency_code

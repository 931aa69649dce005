with deals as (
    select
        count(*) as n_opportunities,
        sum(case when is_open then 1 else 0 end) as n_open,
        sum(case when is_won then 1 else 0 end) as n_won,
        sum(case when is_lost then 1 else 0 end) as n_lost,
        sum(case when is_stage_mapped then 0 else 1 end) as n_unmapped,
        sum(case when is_set_aside then 1 else 0 end) as n_set_aside,
        sum(case when is_amount_held then 1 else 0 end) as n_amounts_held
    from {{ ref('fct_opportunities') }}
    where not is_deleted
),

held as (
    select count(*) as n
    from {{ ref('fct_held_scopes') }}
    where not is_overridden
),

states as (
    select
        sum(case when state = 'measured' then 1 else 0 end) as n_measured,
        sum(case when state = 'not configured' then 1 else 0 end) as n_not_configured,
        sum(case when state = 'not measurable' then 1 else 0 end) as n_not_measurable
    from {{ ref('dim_definition') }}
)

select
    run.run_id,
    run.as_of,
    run.known_at,
    run.org_id,
    run.corporate_currency,
    run.reporting_timezone,
    run.conversion_days,
    run.minimum_n,
    cast(deals.n_opportunities as bigint) as n_opportunities,
    cast(coalesce(deals.n_open, 0) as bigint) as n_open,
    cast(coalesce(deals.n_won, 0) as bigint) as n_won,
    cast(coalesce(deals.n_lost, 0) as bigint) as n_lost,
    cast(coalesce(deals.n_unmapped, 0) as bigint) as n_unmapped,
    cast(coalesce(deals.n_set_aside, 0) as bigint) as n_set_aside,
    cast(deals.n_set_aside as double) / nullif(deals.n_opportunities, 0) as set_aside_share,
    cast(coalesce(states.n_measured, 0) as bigint) as n_definitions_measured,
    cast(coalesce(states.n_not_configured, 0) as bigint) as n_definitions_not_configured,
    cast(coalesce(states.n_not_measurable, 0) as bigint) as n_definitions_not_measurable,
    held.n > 0 as is_incomplete,
    cast(coalesce(deals.n_amounts_held, 0) as bigint) as n_amounts_held
from {{ ref('dim_run') }} as run
cross join deals
cross join states
cross join held

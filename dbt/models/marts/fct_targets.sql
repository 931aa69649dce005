with quarters as (
    select
        fiscal_quarter,
        starts_on,
        ends_before
    from {{ ref('dim_fiscal_quarter') }}
),

written as (
    select count(*) as n
    from {{ ref('stg_control__target') }}
),

quotas as (
    select
        quarters.fiscal_quarter,
        quotas.owner_id,
        owners.manager_id,
        quotas.forecasting_type_id,
        quotas.amount_corporate
    from {{ ref('int_quotas') }} as quotas
    inner join quarters on quotas.start_on >= quarters.starts_on and quotas.start_on < quarters.ends_before
    left join {{ ref('int_owners') }} as owners on quotas.owner_id = owners.owner_id
),

kinds as (
    select count(distinct forecasting_type_id) as n
    from quotas
),

-- the quota of a manager holds those of the people below: it is left out where one of them has a quota
above as (
    select distinct
        fiscal_quarter,
        manager_id
    from quotas
    where manager_id is not null
),

single as (
    select quotas.*
    from quotas
    cross join kinds
    cross join written
    left join above on quotas.fiscal_quarter = above.fiscal_quarter and quotas.owner_id = above.manager_id
    where above.manager_id is null and kinds.n = 1 and written.n = 0
),

together as (
    select
        targets.fiscal_quarter,
        targets.sales_process,
        targets.team,
        targets.owner,
        'targets.csv' as source,
        targets.amount_corporate,
        targets.wins
    from {{ ref('stg_control__target') }} as targets
    union all
    select
        single.fiscal_quarter,
        cast(null as {{ dbt.type_string() }}) as sales_process,
        cast(null as {{ dbt.type_string() }}) as team,
        single.owner_id as owner,
        'quotas' as source,
        cast(sum(single.amount_corporate) as decimal(18, 2)) as amount_corporate,
        cast(null as double) as wins
    from single
    group by single.fiscal_quarter, single.owner_id
)

select
    fiscal_quarter || ': ' || coalesce(sales_process, 'all processes') || ': '
    || case when team is not null then 'team ' || team when owner is not null then 'owner ' || owner else 'company' end as target_key,
    fiscal_quarter,
    coalesce(sales_process, 'all processes') as sales_process,
    team,
    owner,
    case when team is not null then 'team' when owner is not null then 'owner' else 'company' end as level,
    source,
    amount_corporate,
    wins
from together

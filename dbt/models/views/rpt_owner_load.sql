{#- How long after their last open deal an active owner still counts, with none; told in the description of `owner_state`. -#}
{%- set recent_days = 365 -%}
with run as (
    select
        as_of,
        minimum_n
    from {{ ref('dim_run') }}
),

deals as (
    select
        *,
        coalesce(owner_id, '') as current_owner_id
    from {{ ref('fct_opportunities') }}
    where not is_deleted and is_open is not null
),

held as (
    select
        deals.sales_process,
        deals.current_owner_id,
        sum(case when deals.is_open then 1 else 0 end) as wip,
        sum(case when deals.is_open and deals.evidenced_in in ('same', 'earlier') then 1 else 0 end) as wip_evidenced,
        sum(case when deals.is_open and deals.amount_corporate is null then 1 else 0 end) as n_amount_unknown,
        sum(case when deals.is_open then deals.amount_corporate end) as amount_corporate,
        sum(case when deals.is_open and deals.days_in_stage is null then 1 else 0 end) as n_age_unknown,
        {{ percentile('case when deals.is_open then deals.days_in_stage end', 0.5) }} as wip_age_p50_days,
        max(case when deals.is_open then deals.days_in_stage end) as wip_age_max_days,
        max(case when deals.is_open or {{ elapsed_days('deals.closed_at', 'run.as_of') }} <= {{ recent_days }} then 1 else 0 end)
            as is_recent
    from deals
    cross join run
    group by deals.sales_process, deals.current_owner_id
),

known as (
    select
        held.*,
        owners.owner_name,
        case
            when held.current_owner_id = '' then 'none'
            when substr(held.current_owner_id, 1, 3) = '00G' then 'queue'
            when owners.is_active then 'active'
            when not owners.is_active then 'inactive'
            else 'unknown'
        end as owner_state
    from held
    left join {{ ref('dim_owner') }} as owners on held.current_owner_id = owners.owner_id
    where held.is_recent = 1
),

placed as (
    select
        *,
        case when owner_state = 'active' then wip end as levelled_wip,
        case
            when owner_state = 'active'
                then row_number() over (partition by sales_process, owner_state order by wip, current_owner_id)
        end as place
    from known
),

levels as (
    select
        sales_process,
        count(levelled_wip) as n_owners,
        sum(levelled_wip) as owners_wip,
        sum(wip) as process_wip,
        cast(sum(levelled_wip) as double) / nullif(count(levelled_wip), 0) as mean_wip,
        {{ coefficient_of_variation('levelled_wip') }} as wip_cv,
        {{ gini('levelled_wip', 'place') }} as wip_gini
    from placed
    group by sales_process
),

-- one owner has nobody to differ from; a mean of few deals says nothing of chance
limited as (
    select
        levels.*,
        run.as_of,
        coalesce(levels.n_owners >= 2 and levels.owners_wip >= run.minimum_n, false) as is_enough
    from levels
    cross join run
),

judged as (
    select
        placed.*,
        limited.as_of,
        limited.is_enough,
        limited.n_owners,
        limited.process_wip,
        case when limited.is_enough then limited.mean_wip end as mean_wip,
        case when limited.is_enough then limited.wip_cv end as wip_cv,
        case when limited.is_enough then limited.wip_gini end as wip_gini,
        case when limited.is_enough then {{ count_limit('limited.mean_wip', '-') }} end as wip_lower_limit,
        case when limited.is_enough then {{ count_limit('limited.mean_wip', '+') }} end as wip_upper_limit
    from placed
    inner join limited on placed.sales_process = limited.sales_process
)

select
    sales_process || ': ' || case when current_owner_id = '' then 'none' else current_owner_id end as owner_load_key,
    sales_process,
    nullif(current_owner_id, '') as owner_id,
    owner_name,
    'current_owner' as owner_basis,
    owner_state,
    cast(wip as bigint) as wip,
    cast(wip_evidenced as bigint) as wip_evidenced,
    cast(case when n_amount_unknown = wip then null else amount_corporate end as decimal(38, 2)) as amount_corporate,
    cast(n_amount_unknown as bigint) as n_amount_unknown,
    wip_age_p50_days,
    wip_age_max_days,
    cast(n_age_unknown as bigint) as n_age_unknown,
    cast(process_wip as bigint) as process_wip,
    cast(n_owners as bigint) as n_owners,
    mean_wip,
    wip_cv,
    wip_gini,
    wip_lower_limit,
    wip_upper_limit,
    case
        when owner_state <> 'active' then 'not compared'
        when not is_enough then 'too few'
        when wip > wip_upper_limit then 'more than chance explains'
        when wip < wip_lower_limit then 'less than chance explains'
        else 'no difference'
    end as reads,
    as_of
from judged

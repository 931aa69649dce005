{%- set carried_back = traits_carried_back() -%}
{%- set traits = winnability_traits() -%}
with run as (
    select
        as_of,
        minimum_n
    from {{ ref('dim_run') }}
),

counted as (
    {%- for trait in traits %}
    select
        basis,
        sales_process,
        stage_name,
        '{{ trait }}' as trait,
        coalesce({{ trait }}, 'unknown') as trait_value,
        {{ 'true' if trait in carried_back else 'false' }} as is_carried_back,
        min(stage_order) as stage_order,
        count(*) as n_entered,
        sum(case when outcome = 'won' then 1 else 0 end) as n_won,
        sum(case when outcome = 'lost' then 1 else 0 end) as n_lost,
        sum(case when outcome = 'open' then 1 else 0 end) as n_open,
        sum(case when outcome = 'unknown' then 1 else 0 end) as n_unknown
    from {{ ref('fct_stage_entries') }}
    group by basis, sales_process, stage_name, coalesce({{ trait }}, 'unknown')
    {%- if not loop.last %}
    union all
    {%- endif %}
    {%- endfor %}
),

totalled as (
    select
        counted.*,
        counted.n_won + counted.n_lost as n_resolved,
        sum(counted.n_entered) over stage as stage_entered,
        sum(counted.n_won) over stage as stage_won,
        sum(counted.n_won + counted.n_lost) over stage as stage_resolved,
        -- what rests on recorded responses is no trait of the deal where responses are kept outside the CRM
        counted.trait not in ('responses_before', 'people_met') or measurability.is_measurable as is_measurable,
        max(case when counted.trait_value <> 'unknown' then 1 else 0 end) over (partition by counted.trait) = 1 as is_ever_known,
        run.minimum_n,
        run.as_of
    from counted
    cross join run
    cross join {{ ref('dim_measurability') }} as measurability
    window stage as (partition by basis, sales_process, stage_name, trait)
),

rated as (
    select
        *,
        case when is_measurable and n_resolved >= minimum_n then cast(n_won as double) / n_resolved end as win_rate,
        case when is_measurable and n_resolved >= minimum_n then {{ wilson_bound('n_won', 'n_resolved', '-') }} end as win_rate_lower,
        case when is_measurable and n_resolved >= minimum_n then {{ wilson_bound('n_won', 'n_resolved', '+') }} end as win_rate_upper,
        case when stage_resolved >= minimum_n then cast(stage_won as double) / stage_resolved end as stage_win_rate
    from totalled
)

select
    basis || ': ' || sales_process || ': ' || stage_name || ': ' || trait || ': ' || trait_value as winnability_key,
    basis,
    sales_process,
    stage_name,
    stage_order,
    trait,
    trait_value,
    case when is_carried_back then 'current value carried back' else 'as known at entry' end as value_basis,
    cast(n_entered as bigint) as n_entered,
    cast(n_won as bigint) as n_won,
    cast(n_lost as bigint) as n_lost,
    cast(n_open as bigint) as n_open,
    cast(n_unknown as bigint) as n_unknown,
    cast(n_entered as double) / stage_entered as share_of_entries,
    win_rate,
    win_rate_lower,
    win_rate_upper,
    stage_win_rate,
    case
        when not is_measurable then 'not measurable'
        when trait = 'segment' and not is_ever_known then 'not mapped'
        when win_rate is null then 'too few'
        when win_rate_lower > stage_win_rate then 'wins more often'
        when win_rate_upper < stage_win_rate then 'wins less often'
        else 'no difference'
    end as reads,
    as_of
from rated

with run as (
    select
        as_of,
        minimum_n
    from {{ ref('dim_run') }}
),

processes as (
    select distinct sales_process from {{ ref('fct_opportunities') }}
    where not is_deleted
),

entry_rules as (
    select * from {{ ref('dim_definition') }}
    where kind = 'stage_entry' and evidence is not null
),

counted as (
    select
        definition_id,
        sales_process,
        count(*) as n_entered,
        sum(case when is_mature then 0 else 1 end) as n_immature,
        sum(case when is_mature and at_entry = 'unknown' then 1 else 0 end) as n_unknown,
        sum(case when is_mature and at_entry = 'met' and outcome = 'won' then 1 else 0 end) as met_won,
        sum(case when is_mature and at_entry = 'met' and outcome = 'lost' then 1 else 0 end) as met_lost,
        sum(case when is_mature and at_entry = 'met' and outcome not in ('won', 'lost') then 1 else 0 end)
            as met_unresolved,
        sum(case when is_mature and at_entry = 'breached' and outcome = 'won' then 1 else 0 end) as breached_won,
        sum(case when is_mature and at_entry = 'breached' and outcome = 'lost' then 1 else 0 end) as breached_lost,
        sum(case when is_mature and at_entry = 'breached' and outcome not in ('won', 'lost') then 1 else 0 end)
            as breached_unresolved
    from {{ ref('fct_definition_entries') }}
    group by definition_id, sales_process
),

joined as (
    select
        entry_rules.definition_id,
        entry_rules.definition_version,
        entry_rules.rule_number,
        entry_rules.title,
        entry_rules.mode,
        entry_rules.is_configured,
        processes.sales_process,
        {%- for column in [
            'n_entered', 'n_immature', 'n_unknown', 'met_won', 'met_lost', 'met_unresolved', 'breached_won', 'breached_lost',
            'breached_unresolved'
        ] %}
        coalesce(counted.{{ column }}, 0) as {{ column }},
        {%- endfor %}
        run.minimum_n,
        run.as_of
    from entry_rules
    cross join processes
    cross join run
    left join counted on entry_rules.definition_id = counted.definition_id and processes.sales_process = counted.sales_process
),

resolved as (
    select
        *,
        met_won + met_lost as n_met,
        breached_won + breached_lost as n_breached
    from joined
),

rated as (
    select
        *,
        case when n_met >= minimum_n then cast(met_won as double) / n_met end as met_win_rate,
        case when n_met >= minimum_n then {{ wilson_bound('met_won', 'n_met', '-') }} end as met_lower,
        case when n_met >= minimum_n then {{ wilson_bound('met_won', 'n_met', '+') }} end as met_upper,
        case when n_breached >= minimum_n then cast(breached_won as double) / n_breached end as breached_win_rate,
        case when n_breached >= minimum_n then {{ wilson_bound('breached_won', 'n_breached', '-') }} end as breached_lower,
        case when n_breached >= minimum_n then {{ wilson_bound('breached_won', 'n_breached', '+') }} end as breached_upper
    from resolved
),

compared as (
    select
        *,
        met_win_rate - breached_win_rate as difference,
        {{ newcombe_bound('met_win_rate', 'met_lower', 'met_upper', 'breached_win_rate', 'breached_lower', 'breached_upper', '-') }}
            as difference_lower,
        {{ newcombe_bound('met_win_rate', 'met_lower', 'met_upper', 'breached_win_rate', 'breached_lower', 'breached_upper', '+') }}
            as difference_upper
    from rated
)

select
    definition_id || ': ' || sales_process as value_key,
    definition_id,
    definition_version,
    rule_number,
    title,
    mode,
    sales_process,
    cast(n_entered as bigint) as n_entered,
    cast(n_immature as bigint) as n_immature,
    cast(n_unknown as bigint) as n_unknown,
    cast(n_met as bigint) as n_met,
    cast(met_won as bigint) as met_won,
    cast(met_unresolved as bigint) as met_unresolved,
    cast(n_breached as bigint) as n_breached,
    cast(breached_won as bigint) as breached_won,
    cast(breached_unresolved as bigint) as breached_unresolved,
    met_win_rate,
    met_lower,
    met_upper,
    breached_win_rate,
    breached_lower,
    breached_upper,
    difference,
    difference_lower,
    difference_upper,
    case
        when not is_configured then 'not configured'
        when difference is null then 'too few'
        when difference_lower > 0 then 'those who meet it win more'
        when difference_upper < 0 then 'those who meet it win less'
        else 'unproven'
    end as reads,
    as_of
from compared

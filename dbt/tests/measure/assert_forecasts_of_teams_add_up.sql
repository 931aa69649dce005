{{ config(tags=['measure']) }}
-- what is counted and summed of the teams is what the row of all teams tells, to the cent, and in each trial
{%- set columns = [
    'n_won', 'n_won_without_amount', 'won_money', 'n_open', 'n_open_by_process', 'n_open_imputed', 'n_open_without_money',
    'open_wins', 'open_money', 'imputed_money', 'new_wins', 'new_money', 'crm_commit_money', 'crm_best_case_money',
    'crm_weighted_money'
] %}
with teams as (
    select
        basis,
        quarter_offset,
        sales_process,
        {%- for column in columns %}
        sum({{ column }}) as {{ column }},
        {%- endfor %}
        count(*) as n_teams
    from {{ ref('rpt_forecast') }}
    where team_id <> 'all teams'
    group by basis, quarter_offset, sales_process
)

select together.forecast_key
from {{ ref('rpt_forecast') }} as together
left join teams
    on
        together.basis = teams.basis
        and together.quarter_offset = teams.quarter_offset
        and together.sales_process = teams.sales_process
where
    together.team_id = 'all teams'
    and (
        {%- for column in columns %}
        coalesce(together.{{ column }}, 0) <> coalesce(teams.{{ column }}, 0)
        {{- ' or' if not loop.last }}
        {%- endfor %}
    )

with closings as (
    select
        basis,
        opportunity_id,
        visit_seq,
        stage_name,
        is_won_stage,
        entered_at,
        exit_kind = 'open' as is_standing
    from {{ ref('fct_stage_visits') }}
    where is_closed_stage
),

first_closings as (
    select
        basis,
        opportunity_id,
        min_by(is_won_stage, visit_seq) as is_won_stage
    from closings
    group by basis, opportunity_id
),

-- where the deal stood before it closed; unknown where the history does not end in the record's stage
standing as (
    select
        closings.basis,
        closings.opportunity_id,
        closings.stage_name,
        closings.is_won_stage,
        closings.entered_at,
        coalesce(earlier.stage_name, 'none') as stage_left
    from closings
    left join {{ ref('fct_stage_visits') }} as earlier
        on
            closings.opportunity_id = earlier.opportunity_id
            and closings.basis = earlier.basis
            and closings.visit_seq = earlier.visit_seq + 1
    where closings.is_standing
),

deals as (
    {%- for basis in ['reported', 'defined'] %}
    select
        '{{ basis }}' as basis,
        deals.opportunity_id,
        deals.sales_process,
        deals.amount_corporate,
        deals.created_at,
        {{ 'deals.closed_at' if basis == 'reported' else 'coalesce(standing.entered_at, deals.closed_at)' }} as closed_at,
        deals.evidenced_in,
        case
            when deals.is_deleted then 'deleted'
            {%- if basis == 'defined' %}
            -- a win whose evidence is lacking is none yet; a loss asks for none
            when deals.is_won and not coalesce(standing.is_won_stage, false) then 'unproven'
            {%- endif %}
            when deals.is_won then 'won'
            when deals.is_lost then 'lost'
            when deals.is_open then 'open'
            else 'unknown'
        end as outcome,
        coalesce(standing.stage_left, 'unknown') as stage_left
    from {{ ref('fct_opportunities') }} as deals
    left join standing
        on
            standing.basis = '{{ basis }}'
            and deals.opportunity_id = standing.opportunity_id
            and deals.stage_name = standing.stage_name
    {%- if basis == 'defined' %}
    where not deals.is_set_aside
    {%- endif %}
    {{ 'union all' if not loop.last }}
    {%- endfor %}
),

judged as (
    select
        deals.*,
        coalesce(
            deals.outcome in ('won', 'lost')
            and case when first_closings.is_won_stage then 'won' when not first_closings.is_won_stage then 'lost' end
            <> deals.outcome,
            false
        ) as is_outcome_changed
    from deals
    left join first_closings
        on deals.basis = first_closings.basis and deals.opportunity_id = first_closings.opportunity_id
)

select
    basis,
    sales_process,
    {%- for kind in ['created', 'closed'] %}
    coalesce(
        cast(extract(year from {{ kind }}_at) as {{ dbt.type_string() }})
        || '-Q'
        || cast(extract(quarter from {{ kind }}_at) as {{ dbt.type_string() }}),
        'unknown'
    ) as {{ kind }}_in,
    {%- endfor %}
    stage_left,
    outcome,
    is_outcome_changed,
    evidenced_in,
    count(*) as n_deals,
    count(*) - count(amount_corporate) as n_amount_unknown,
    cast(sum(amount_corporate) as decimal(38, 2)) as amount_corporate
from judged
group by basis, sales_process, created_in, closed_in, stage_left, outcome, is_outcome_changed, evidenced_in

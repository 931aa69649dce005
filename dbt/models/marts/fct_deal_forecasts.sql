with run as (
    select
        as_of,
        minimum_n,
        {{ week_number('as_of') }} as as_of_week
    from {{ ref('stg_control__run') }}
),

won_amounts as (
    select
        deals.sales_process,
        cast(avg(deals.amount_corporate) as decimal(18, 2)) as mean_amount
    from {{ ref('fct_opportunities') }} as deals
    cross join run
    where deals.is_won and not deals.is_deleted and deals.amount_corporate is not null
    group by deals.sales_process, run.minimum_n
    having count(*) >= run.minimum_n
),

deals as (
    select
        opportunities.opportunity_id,
        opportunities.sales_process,
        opportunities.stage_name,
        opportunities.days_in_stage,
        opportunities.evidenced_stage_name,
        opportunities.evidenced_in,
        opportunities.is_set_aside,
        opportunities.owner_id,
        opportunities.owner_name,
        opportunities.amount_corporate,
        opportunities.close_on,
        coalesce(owners.team_id, 'no team') as team_id,
        -- an amount that is held back is stated: no mean stands in for it
        case
            when opportunities.is_amount_held then null
            else coalesce(opportunities.amount_corporate, won_amounts.mean_amount)
        end as money,
        said.forecast_category,
        said.probability
    from {{ ref('fct_opportunities') }} as opportunities
    left join {{ ref('dim_owner') }} as owners on opportunities.owner_id = owners.owner_id
    left join won_amounts on opportunities.sales_process = won_amounts.sales_process
    left join {{ ref('int_opportunity_values') }} as said
        on opportunities.opportunity_id = said.opportunity_id and said.valid_to = {{ end_of_time() }}
    where opportunities.is_open and not opportunities.is_deleted
),

-- as defined a deal stands in its evidenced stage for as long as the evidence lets it; without one it is not in the pipeline
staged as (
    select
        'reported' as basis,
        deals.stage_name as in_stage,
        deals.days_in_stage as in_stage_days,
        {{ landmark_of('deals.days_in_stage') }} as age_from_days,
        deals.*
    from deals
    union all
    select
        'defined' as basis,
        deals.evidenced_stage_name as in_stage,
        visits.days_in_stage as in_stage_days,
        {{ landmark_of('visits.days_in_stage') }} as age_from_days,
        deals.*
    from deals
    inner join {{ ref('fct_stage_visits') }} as visits
        on
            deals.opportunity_id = visits.opportunity_id
            and deals.evidenced_stage_name = visits.stage_name
            and visits.basis = 'defined'
            and visits.exit_kind = 'open'
    where not deals.is_set_aside
),

quarters as (
    select
        quarters.*,
        {{ week_number('cast(quarters.ends_before as timestamp)') }} - run.as_of_week as weeks_to_end
    from {{ ref('dim_fiscal_quarter') }} as quarters
    cross join run
    where quarters.quarter_offset >= 0
),

curves as (
    select curves.*
    from {{ ref('fct_win_curves') }} as curves
    inner join {{ ref('dim_forecast_week') }} as weeks
        on curves.week_no = weeks.week_no
    where weeks.is_latest
),

likely as (
    select
        staged.*,
        quarters.fiscal_quarter,
        quarters.quarter_offset,
        case
            when quarters.quarter_offset = 0 then staged.close_on < quarters.ends_before
            else staged.close_on >= quarters.starts_on and staged.close_on < quarters.ends_before
        end as is_due,
        {{ between_weeks('at_floor.p_won', 'at_next.p_won', 'quarters.weeks_to_end') }} as p_won_by_end,
        {{ between_weeks('at_floor.p_won_error', 'at_next.p_won_error', 'quarters.weeks_to_end') }} as p_won_error,
        coalesce(at_next.p_won_from, 'too few') as p_won_from
    from staged
    cross join quarters
    left join curves as at_floor
        on
            staged.basis = at_floor.basis
            and staged.sales_process = at_floor.sales_process
            and staged.in_stage = at_floor.stage_name
            and staged.age_from_days = at_floor.age_from_days
            and at_floor.within_weeks = floor(quarters.weeks_to_end)
    left join curves as at_next
        on
            staged.basis = at_next.basis
            and staged.sales_process = at_next.sales_process
            and staged.in_stage = at_next.stage_name
            and staged.age_from_days = at_next.age_from_days
            and at_next.within_weeks = floor(quarters.weeks_to_end) + 1
)

select
    basis || ': ' || opportunity_id || ': ' || fiscal_quarter as deal_forecast_key,
    basis,
    opportunity_id,
    fiscal_quarter,
    cast(quarter_offset as integer) as quarter_offset,
    sales_process,
    in_stage as stage_name,
    in_stage_days as age_days,
    cast(age_from_days as integer) as age_from_days,
    owner_id,
    owner_name,
    team_id,
    evidenced_in,
    amount_corporate,
    money,
    amount_corporate is null and money is not null as is_money_imputed,
    cast(p_won_by_end as double) as p_won_by_end,
    cast(p_won_error as double) as p_won_error,
    cast(
        p_won_by_end - coalesce(lag(p_won_by_end) over (partition by basis, opportunity_id order by quarter_offset), 0) as double
    ) as p_won_in_quarter,
    p_won_from,
    forecast_category,
    cast(probability as double) as crm_probability,
    close_on,
    coalesce(is_due, false) as is_due
from likely

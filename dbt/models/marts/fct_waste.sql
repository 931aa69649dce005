with run as (
    select
        as_of,
        as_of_on
    from {{ ref('dim_run') }}
),

-- what runs on is told up to as_of; a response of that very instant waits for nothing yet
waste as (
    select
        waste.waste_kind,
        waste.opportunity_id,
        deals.sales_process,
        waste.microseconds,
        case when waste.runs_since <= run.as_of then {{ elapsed_microseconds('waste.runs_since', 'run.as_of') }} end
            as microseconds_running,
        waste.touches
    from {{ ref('int_deal_waste') }} as waste
    inner join {{ ref('fct_opportunities') }} as deals on waste.opportunity_id = deals.opportunity_id
    cross join run
    where
        not deals.is_deleted
        and not (waste.waste_kind = 'never_met_definition' and deals.is_set_aside)
        and not (waste.waste_kind = 'overdue_close_date' and deals.close_on >= run.as_of_on)
        and not (waste.waste_kind = 'waiting' and waste.microseconds is null and waste.runs_since >= run.as_of)
)

select
    waste_kind,
    opportunity_id,
    sales_process,
    case
        when coalesce(microseconds, microseconds_running) is not null
            then {{ days_of('coalesce(microseconds, 0) + coalesce(microseconds_running, 0)') }}
    end as waste_days,
    case when coalesce(microseconds, microseconds_running) is not null then touches end as touches
from waste

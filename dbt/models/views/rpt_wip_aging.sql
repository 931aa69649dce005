with run as (
    select
        as_of,
        as_of_on,
        minimum_n
    from {{ ref('dim_run') }}
),

open_deals as (
    select * from {{ ref('fct_opportunities') }}
    where is_open and not is_deleted
),

-- millions of visits are sorted: stages by number
stages as (
    select
        sales_process,
        stage_name,
        cast(row_number() over (order by sales_process, stage_name) as integer) as stage_no
    from open_deals
    group by sales_process, stage_name
),

-- each open deal among the closed visits of its stage, in one pass over both: comparing every deal with every visit grows with
-- the square of the org
dwells as (
    select
        stages.stage_no,
        visits.days_in_stage,
        cast(null as {{ dbt.type_string() }}) as opportunity_id,
        1 as closed
    from {{ ref('fct_stage_visits') }} as visits
    inner join stages on visits.sales_process = stages.sales_process and visits.stage_name = stages.stage_name
    where visits.basis = 'reported' and not visits.is_start_imputed and visits.exit_kind not in ('open', 'deleted', 'merged')
    union all
    select
        stages.stage_no,
        open_deals.days_in_stage,
        open_deals.opportunity_id,
        0 as closed
    from open_deals
    inner join stages on open_deals.sales_process = stages.sales_process and open_deals.stage_name = stages.stage_name
),

placed as (
    select
        opportunity_id,
        sum(closed) over (partition by stage_no) as n_closed,
        -- peers of the same length count as no longer; a deal without a length has none below it
        case when days_in_stage is null then 0 else sum(closed) over (
            partition by stage_no
            order by days_in_stage nulls last
            range unbounded preceding
        ) end as n_no_longer
    from dwells
),

ranked as (
    select
        opportunity_id,
        n_closed,
        cast(n_no_longer as double) / n_closed as share_shorter
    from placed
    where opportunity_id is not null and n_closed > 0
),

breaches as (
    select
        verdicts.record_id,
        count(distinct verdicts.definition_id) as n_breaches,
        {{ names_in_order('definitions.title', '; ') }} as breach_names,
        {{ names_in_order('definitions.fix', ' ') }} as fixes
    from {{ ref('fct_definition_verdicts') }} as verdicts
    inner join open_deals on verdicts.record_id = open_deals.opportunity_id
    inner join {{ ref('dim_definition') }} as definitions on verdicts.definition_id = definitions.definition_id
    where verdicts.status = 'breached'
    group by verdicts.record_id
),

told as (
    select
        open_deals.*,
        run.as_of,
        run.minimum_n,
        ranked.n_closed,
        ranked.share_shorter,
        coalesce(breaches.n_breaches, 0) as n_breaches,
        breaches.breach_names,
        breaches.fixes,
        case
            when not measurability.is_measurable then 'not measurable'
            when open_deals.last_customer_response_at is null and open_deals.last_touch_at is null then 'unknown'
            when open_deals.last_touch_at is null or open_deals.last_customer_response_at > open_deals.last_touch_at then 'us'
            else 'customer'
        end as ball_with,
        case
            when measurability.is_measurable
                then greatest(
                    coalesce(open_deals.last_customer_response_at, open_deals.last_touch_at),
                    coalesce(open_deals.last_touch_at, open_deals.last_customer_response_at)
                )
        end as ball_since_at,
        measurability.cause as ball_cause,
        open_deals.close_on < run.as_of_on as is_close_date_past
    from open_deals
    cross join run
    cross join {{ ref('dim_measurability') }} as measurability
    left join ranked on open_deals.opportunity_id = ranked.opportunity_id
    left join breaches on open_deals.opportunity_id = breaches.record_id
),

aged as (
    select
        *,
        case when n_closed >= minimum_n then share_shorter end as age_percentile,
        {{ elapsed_days('ball_since_at', 'as_of') }} as ball_days
    from told
),

-- an answer of today is work under way: it asks for a hand once a day has passed
reasoned as (
    select
        *,
        case
            when ball_with = 'us' and ball_days >= 1 then 1
            when is_close_date_past then 2
            when age_percentile > 0.85 then 3
            when n_breaches > 0 then 4
            when ball_with = 'us' then 5
            else 6
        end as attention_class
    from aged
)

select
    opportunity_id,
    opportunity_name,
    record_url,
    account_id,
    owner_id,
    owner_name,
    sales_process,
    stage_name,
    stage_order,
    evidenced_stage_name,
    evidenced_in,
    days_in_stage as age_days,
    cumulative_days_in_stage as cumulative_age_days,
    age_percentile,
    case
        when age_percentile is not null then null
        when days_in_stage is null then 'history does not end in this stage'
        else 'too few closed visits of this stage'
    end as age_percentile_cause,
    ball_with,
    ball_days,
    ball_cause,
    last_customer_response_at,
    close_on,
    is_close_date_past,
    amount,
    currency_code,
    amount_corporate,
    cast(n_breaches as bigint) as n_breaches,
    breach_names,
    row_number() over (
        order by
            attention_class asc,
            case when attention_class = 1 then ball_days end desc nulls last,
            amount_corporate desc nulls last,
            opportunity_id asc
    ) as attention_rank,
    case attention_class
        when 1
            then case
                when last_inbound_at = last_customer_response_at
                    then 'Customer answered ' || {{ days_ago('ball_days') }} || ', nobody replied'
                else 'Met the customer ' || {{ days_ago('ball_days') }} || ', nobody followed up'
            end
        when 2 then 'Close date has passed: ' || cast(close_on as {{ dbt.type_string() }})
        when 3
            then
                'Longer in ' || stage_name || ' than ' || {{ in_words('floor(100 * age_percentile)') }}
                || ' % of the deals that left it'
        when 4 then 'Not met: ' || breach_names || '. Next: ' || fixes
        when 5 then 'Customer answered today: reply'
        else 'Nothing stands out'
    end as attention_reason,
    as_of
from reasoned

{#- Thresholds are choices, told in the description of `signals_for`; what counts as a change: macros/statistics/change. -#}
{%- set load_limit, old_share_limit = 0.85, 0.30 -%}
{%- set stage_columns = [
    'week_starts_on', 'start_wip', 'arrivals', 'exits', 'end_wip', 'wip_upper_limit', 'loaded_weeks', 'capacity_exits', 'n_resolved',
    'p_win_after_exit', 'theta_wins', 'load_ratio', 'share_beyond_p85', 'onward_yield', 'onward_yield_upper', 'best_quartile_yield',
] -%}
with bases as (
    select distinct
        basis,
        sales_process
    from {{ ref('fct_stage_weeks') }}
),

stage_weeks as (
    select
        basis,
        sales_process,
        location,
        stage_name,
        stage_order,
        {{ stage_columns | join(', ') }}
    from {{ ref('fct_stage_weeks') }}
    union all
    -- leads stand before the first stage: no evidence is asked of them, they are the same in both bases
    select
        bases.basis,
        leads.sales_process,
        'qualifying' as location,
        'Leads' as stage_name,
        0 as stage_order,
        leads.{{ stage_columns | join(', leads.') }}
    from {{ ref('fct_lead_weeks') }} as leads
    inner join bases on leads.sales_process = bases.sales_process
),

signalled as (
    select
        *,
        end_wip > wip_upper_limit as is_growing,
        load_ratio > {{ load_limit }} as is_loaded,
        share_beyond_p85 > {{ old_share_limit }} as is_old,
        onward_yield_upper < best_quartile_yield as is_below_best
    from stage_weeks
),

counted as (
    select
        *,
        {%- for signal in ['is_growing', 'is_loaded', 'is_old', 'is_below_best'] %}
        {{ '+ ' if not loop.first }}case when {{ signal }} then 1 else 0 end
        {%- endfor %} as stage_signals,
        row_number() over (
            partition by basis, sales_process, location, week_starts_on
            order by theta_wins asc nulls last, end_wip desc, stage_order asc, stage_name asc
        ) as rank_in_location
    from signalled
),

-- the line as a whole, against the same weeks a year before
stream as (
    select
        *,
        {{ clearly_fewer('inquiries_13_weeks', 'inquiries_year_before') }} as inquiries_fell,
        {{ clearly_fewer('unprompted_13_weeks', 'unprompted_year_before') }} as unprompted_fell,
        {{ clearly_fewer('reached_13_weeks', 'reached_year_before') }} as reach_fell,
        {{ clearly_fewer('responses_13_weeks', 'responses_year_before') }} as responses_fell,
        {{ clearly_lower_share('responses_13_weeks', 'reached_13_weeks', 'responses_year_before', 'reached_year_before') }}
            as response_rate_fell,
        -- Little's law: those who wait per arrival are the time they wait
        unworked_leads_13_weeks * inquiries_year_before > 1.5 * unworked_leads_year_before * inquiries_13_weeks
        and {{ clearly_more('unworked_leads_13_weeks / 13.0', 'unworked_leads_year_before / 13.0', errors=2) }} as leads_wait,
        {{ clearly_higher_share(
            'given_up_leads_13_weeks', 'closed_leads_13_weeks', 'given_up_leads_year_before', 'closed_leads_year_before'
        ) }} as leads_are_lost,
        {{ clearly_fewer('deal_touches_13_weeks', 'deal_touches_year_before') }} as touches_fell,
        {{ clearly_more('case_touches_13_weeks', 'case_touches_year_before') }} as case_touches_rose,
        {{ clearly_more('cases_opened_13_weeks', 'cases_opened_year_before') }} as cases_rose,
        {{ clearly_higher_share(
            'case_touches_13_weeks', 'seller_touches_13_weeks', 'case_touches_year_before', 'seller_touches_year_before'
        ) }} as case_share_rose
    from {{ ref('fct_value_stream_weeks') }}
),

waits as (
    select
        *,
        waiting_deals_13_weeks * open_deals_year_before > 1.5 * waiting_deals_year_before * open_deals_13_weeks
        and {{ clearly_more('waiting_deals_13_weeks / 13.0', 'waiting_deals_year_before / 13.0', errors=2) }} as deals_wait,
        open_deals_13_weeks >= 0.95 * open_deals_year_before as are_as_many
    from {{ ref('fct_deal_wait_weeks') }}
),

process_weeks as (
    select distinct
        basis,
        sales_process,
        week_starts_on
    from {{ ref('fct_stage_weeks') }}
),

process_waits as (
    select
        sales_process,
        week_starts_on,
        max(case when location = 'qualifying' then deals_wait end) as qualifying_waits,
        max(case when location = 'selling' then deals_wait end) as selling_waits
    from waits
    group by sales_process, week_starts_on
),

-- nobody waits: neither leads nor deals wait for us longer than a year ago, as far as that is known
context as (
    select
        {%- for figure in [
            'reached', 'responses', 'inquiries', 'unprompted', 'closed_leads', 'given_up_leads', 'unworked_leads', 'cases_opened',
            'cases_closed', 'deal_touches', 'case_touches', 'seller_touches',
        ] %}
        stream.{{ figure }},
        stream.{{ figure }}_13_weeks,
        stream.{{ figure }}_year_before,
        {%- endfor %}
        {%- for signal in [
            'inquiries_fell', 'unprompted_fell', 'reach_fell', 'responses_fell', 'response_rate_fell', 'leads_wait', 'leads_are_lost',
            'touches_fell', 'case_touches_rose', 'cases_rose', 'case_share_rose',
        ] %}
        stream.{{ signal }},
        {%- endfor %}
        process_weeks.basis,
        process_weeks.sales_process,
        process_weeks.week_starts_on,
        process_waits.selling_waits,
        not coalesce(stream.leads_wait, false)
        and not coalesce(process_waits.qualifying_waits, false)
        and not coalesce(process_waits.selling_waits, false) as nobody_waits,
        -- the touches that deals miss went to cases
        coalesce(stream.case_share_rose and stream.case_touches_rose, false)
        and (coalesce(stream.touches_fell, false) or coalesce(process_waits.selling_waits, false))
        and coalesce(process_waits.selling_waits, true) as cases_take_over
    from process_weeks
    left join stream on process_weeks.week_starts_on = stream.week_starts_on
    left join process_waits
        on process_weeks.sales_process = process_waits.sales_process and process_weeks.week_starts_on = process_waits.week_starts_on
),

located as (
    select
        counted.*,
        context.nobody_waits,
        context.cases_take_over,
        context.leads_wait,
        context.leads_are_lost,
        waits.deals_wait,
        waits.waiting_deals_13_weeks / 13.0 as mean_waiting,
        waits.waiting_deals_year_before / 13.0 as mean_waiting_before,
        context.unworked_leads_13_weeks / 13.0 as mean_unworked,
        context.unworked_leads_year_before / 13.0 as mean_unworked_before,
        context.given_up_leads_13_weeks,
        context.closed_leads_13_weeks,
        context.given_up_leads_year_before,
        context.closed_leads_year_before,
        context.deal_touches_13_weeks,
        context.deal_touches_year_before,
        counted.location = 'selling' and context.touches_fell and waits.are_as_many as touches_are_missing,
        case
            when counted.location = 'qualifying' and (context.leads_wait is not null or waits.deals_wait is not null)
                then coalesce(context.leads_wait, false) or coalesce(waits.deals_wait, false)
            when counted.location <> 'qualifying' then waits.deals_wait
        end as is_waiting_on_us
    from counted
    left join context
        on
            counted.basis = context.basis
            and counted.sales_process = context.sales_process
            and counted.week_starts_on = context.week_starts_on
    left join waits
        on
            counted.sales_process = waits.sales_process
            and counted.location = waits.location
            and counted.week_starts_on = waits.week_starts_on
    where counted.rank_in_location = 1
),

-- a location where nobody waits for us is not held back by what we can do: it does not compete
judged as (
    select
        *,
        stage_signals
        + case when deals_wait then 1 else 0 end
        + case when location = 'qualifying' and leads_wait then 1 else 0 end
        + case when location = 'qualifying' and leads_are_lost then 1 else 0 end
        + case when touches_are_missing then 1 else 0 end as signals,
        min(case when coalesce(is_waiting_on_us, true) then theta_wins end) over (partition by basis, sales_process, week_starts_on)
            as lowest_theta,
        count(theta_wins) over (partition by basis, sales_process, week_starts_on) as locations_known,
        -- a queue in front of one place alone shows it, whatever its capacity may be
        coalesce(is_waiting_on_us, false)
        and sum(case when is_waiting_on_us then 1 else 0 end) over (partition by basis, sales_process, week_starts_on) = 1 as is_only_queue
    from located
),

market as (
    select
        *,
        'market' as location,
        inquiries as arrivals,
        cast(null as bigint) as exits,
        inquiries_13_weeks is not null as is_measured,
        case when inquiries_13_weeks is null then 'no leads are loaded, or for less than 13 weeks' end as cause,
        inquiries_year_before is not null as has_year_before,
        case when inquiries_fell then 1 else 0 end
        + case when unprompted_fell then 1 else 0 end
        + case when reach_fell then 1 else 0 end
        + case when touches_fell and nobody_waits then 1 else 0 end as signals,
        inquiries_fell
        and (unprompted_fell or coalesce(reach_fell, false))
        and not coalesce(response_rate_fell, false)
        and nobody_waits as holds,
        {{ told_change('inquiries_fell', 'inquiries', 'inquiries') }}
        || {{ told_change('unprompted_fell', 'unprompted', 'inquiries that no campaign prompted') }}
        || {{ told_change('reach_fell', 'reached', 'people reached by campaigns') }}
        || {{ told_change('touches_fell and nobody_waits', 'deal_touches', 'touches on deals, and nobody waits for us') }} as told_for,
        {{ told_no_change('inquiries_fell', 'inquiries', 'inquiries') }}
        || case when response_rate_fell then 'fewer of those whom campaigns reach respond; ' else '' end
        || case when not nobody_waits then 'leads or deals wait for us longer than a year ago; ' else '' end as told_against
    from context
),

marketing as (
    select
        *,
        'marketing' as location,
        reached as arrivals,
        responses as exits,
        reached_13_weeks is not null and inquiries_13_weeks is not null as is_measured,
        case
            when reached_13_weeks is null or inquiries_13_weeks is null
                then 'no leads and campaigns are loaded, or for less than 13 weeks'
        end as cause,
        reached_year_before is not null and inquiries_year_before is not null as has_year_before,
        case when response_rate_fell then 1 else 0 end
        + case when responses_fell and not reach_fell then 1 else 0 end
        + case when inquiries_fell and not unprompted_fell then 1 else 0 end
        + case when leads_are_lost and not leads_wait then 1 else 0 end
        + case when touches_fell and nobody_waits then 1 else 0 end as signals,
        (response_rate_fell or (leads_are_lost and not leads_wait)) and not reach_fell and nobody_waits as holds,
        case
            when response_rate_fell
                then
                    {{ in_words('100.0 * responses_13_weeks / reached_13_weeks') }} || ' % of those reached respond, a year ago '
                    || {{ in_words('100.0 * responses_year_before / reached_year_before') }} || ' %; '
            else ''
        end
        || {{ told_change('responses_fell and not reach_fell', 'responses', 'responses, to as many people reached') }}
        || {{ told_change('inquiries_fell and not unprompted_fell', 'inquiries', 'inquiries, those that no campaign prompted hold') }}
        || {{ told_change('leads_are_lost and not leads_wait', 'given_up_leads', 'leads given up, and none waits longer') }}
        || {{ told_change('touches_fell and nobody_waits', 'deal_touches', 'touches on deals, and nobody waits for us') }} as told_for,
        case when not response_rate_fell then 'as many of those reached respond as a year ago, within chance; ' else '' end
        || case when reach_fell then 'campaigns reach fewer people than a year ago; ' else '' end
        || case when not nobody_waits then 'leads or deals wait for us longer than a year ago; ' else '' end as told_against
    from context
),

servicing as (
    select
        *,
        'servicing' as location,
        cases_opened as arrivals,
        cases_closed as exits,
        cases_opened_13_weeks is not null and seller_touches_13_weeks is not null as is_measured,
        case
            when cases_opened_13_weeks is null then 'no cases are loaded, or for less than 13 weeks'
            when seller_touches_13_weeks is null then 'no activities of those who own deals are loaded, or for less than 13 weeks'
        end as cause,
        cases_opened_year_before is not null and seller_touches_year_before is not null as has_year_before,
        case when case_share_rose then 1 else 0 end
        + case when case_touches_rose then 1 else 0 end
        + case when cases_rose then 1 else 0 end
        + case when touches_fell then 1 else 0 end
        + case when selling_waits then 1 else 0 end as signals,
        cases_take_over as holds,
        case
            when case_share_rose
                then
                    {{ in_words('100.0 * case_touches_13_weeks / seller_touches_13_weeks') }}
                    || ' % of what sellers do is on cases, a year ago '
                    || {{ in_words('100.0 * case_touches_year_before / seller_touches_year_before') }} || ' %; '
            else ''
        end
        || {{ told_change('cases_rose', 'cases_opened', 'cases opened') }}
        || {{ told_change('touches_fell', 'deal_touches', 'touches on deals') }}
        || case when selling_waits then 'more deals wait for us than a year ago; ' else '' end as told_for,
        case when not case_share_rose then 'cases take no larger share of what sellers do, within chance; ' else '' end
        || {{ told_no_change('touches_fell', 'deal_touches', 'touches on deals') }}
        || case when not selling_waits then 'deals do not wait for us longer than a year ago; ' else '' end as told_against
    from context
)

select
    week_starts_on,
    basis,
    sales_process,
    location,
    'measured' as state,
    cast(null as {{ dbt.type_string() }}) as state_cause,
    stage_name as limiting_stage_name,
    start_wip,
    arrivals,
    exits,
    arrivals - exits as net_growth,
    end_wip,
    wip_upper_limit,
    is_growing,
    loaded_weeks,
    capacity_exits,
    p_win_after_exit,
    n_resolved,
    theta_wins,
    load_ratio,
    share_beyond_p85,
    onward_yield,
    best_quartile_yield,
    is_waiting_on_us,
    cast(signals as integer) as signals_for,
    case
        when
            signals >= 2
            and ((theta_wins = lowest_theta and coalesce(is_waiting_on_us, true)) or (theta_wins is null and is_only_queue))
            and not (location = 'selling' and coalesce(cases_take_over, false))
            then 'constraint'
        else 'undetermined'
    end as verdict,
    case when theta_wins = lowest_theta and locations_known > 1 then 'fewest wins a week at capacity; ' else '' end
    || case
        when deals_wait
            then
                {{ in_words('mean_waiting') }} || ' deals wait for us in an average week, a year ago '
                || {{ in_words('mean_waiting_before') }} || '; '
        else ''
    end
    || case
        when location = 'qualifying' and leads_wait
            then
                {{ in_words('mean_unworked') }} || ' leads have not been worked in an average week, a year ago '
                || {{ in_words('mean_unworked_before') }} || '; '
        else ''
    end
    || case
        when location = 'qualifying' and leads_are_lost
            then
                {{ in_words('100.0 * given_up_leads_13_weeks / closed_leads_13_weeks') }} || ' % of closed leads were given up, a year ago '
                || {{ in_words('100.0 * given_up_leads_year_before / closed_leads_year_before') }} || ' %; '
        else ''
    end
    || case
        when touches_are_missing
            then
                {{ in_words('deal_touches_13_weeks') }} || ' touches on as many deals in 13 weeks, a year ago '
                || {{ in_words('deal_touches_year_before') }} || '; '
        else ''
    end
    || case
        when is_growing
            then
                {{ in_words('end_wip') }} || ' ' || case when stage_name = 'Leads' and stage_order = 0 then 'leads' else 'deals' end
                || ' stand there, more than the ' || {{ in_words('wip_upper_limit') }} || ' that earlier weeks explain; '
        else ''
    end
    || case
        when is_loaded
            then 'arrivals take up ' || {{ in_words('100 * load_ratio') }} || ' % of what it lets out in its better weeks; '
        else ''
    end
    || case
        when is_old
            then {{ in_words('100 * share_beyond_p85') }} || ' % of what is open is older than 85 % of what left; '
        else ''
    end
    || case
        when is_below_best
            then
                {{ in_words('100 * onward_yield') }} || ' % move on, in its best quarter of weeks '
                || {{ in_words('100 * best_quartile_yield') }} || ' %; '
        else ''
    end as evidence_for,
    case
        when capacity_exits is null then 'capacity unknown: ' || {{ in_words('loaded_weeks') }} || ' loaded weeks of the 12 needed; '
        when theta_wins is null then 'too few closed deals to tell what an exit is worth; '
        when theta_wins > lowest_theta then 'another location lets through fewer wins; '
        when locations_known < 2 then 'the other locations were not loaded for long enough to know their capacity; '
        else ''
    end
    || case when not is_waiting_on_us then 'nobody waits for us longer than a year ago; ' else '' end
    || case when location = 'selling' and cases_take_over then 'cases take the time of those who sell; ' else '' end
    || case when not is_growing then 'no more open than earlier weeks explain; ' else '' end
    || case
        when not is_loaded
            then 'arrivals take up only ' || {{ in_words('100 * load_ratio') }} || ' % of its capacity; '
        else ''
    end
    || case when not is_old then 'little is old; ' else '' end
    || case when not is_below_best then 'it moves on as many as in its best weeks, within chance; ' else '' end as evidence_against
from judged
{%- for location in ['market', 'marketing', 'servicing'] %}
union all
select
    week_starts_on,
    basis,
    sales_process,
    location,
    case when is_measured then 'measured' else 'not measured' end as state,
    cause as state_cause,
    cast(null as {{ dbt.type_string() }}) as limiting_stage_name,
    cast(null as bigint) as start_wip,
    cast(case when is_measured then arrivals end as bigint) as arrivals,
    cast(case when is_measured then exits end as bigint) as exits,
    cast(case when is_measured then arrivals - exits end as bigint) as net_growth,
    {%- for kind, columns in [
        ('bigint', ['end_wip']), ('double', ['wip_upper_limit']), ('boolean', ['is_growing']), ('bigint', ['loaded_weeks']),
        ('double', ['capacity_exits', 'p_win_after_exit']), ('bigint', ['n_resolved']),
        ('double', ['theta_wins', 'load_ratio', 'share_beyond_p85', 'onward_yield', 'best_quartile_yield']),
        ('boolean', ['is_waiting_on_us']),
    ] %}
    {%- for column in columns %}
    cast(null as {{ kind }}) as {{ column }},
    {%- endfor %}
    {%- endfor %}
    cast(case when is_measured and has_year_before then signals end as integer) as signals_for,
    case
        when is_measured and has_year_before and coalesce(holds, false) and signals >= 2 then 'constraint' else 'undetermined'
    end as verdict,
    case when is_measured and has_year_before then coalesce(told_for, '') else '' end as evidence_for,
    case
        when not is_measured then cause
        when not has_year_before then 'no year before to compare with; '
        else coalesce(told_against, '')
    end as evidence_against
from {{ location }}
{%- endfor %}

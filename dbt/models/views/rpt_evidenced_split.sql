{%- set conversion = {
    'n_entered': 'not is_left_out',
    'n_mature': 'not is_left_out and is_mature',
    'n_immature': 'not is_left_out and not is_mature',
    'n_open': "not is_left_out and exit_kind = 'open'",
    'n_deleted': "not is_left_out and exit_kind in ('deleted', 'merged')",
    'n_deleted_within': "not is_left_out and is_mature and is_within and exit_kind in ('deleted', 'merged')",
    'n_left_truncated': 'is_left_out',
    'n_rate': "not is_left_out and is_mature and not (is_within and exit_kind in ('deleted', 'merged'))",
} -%}
{%- set duration = {
    'n_visits': 'n',
    'n_closed': "case when exit_kind not in ('open', 'deleted', 'merged') then n else 0 end",
    'n_open': "case when exit_kind = 'open' then n else 0 end",
    'n_deleted': "case when exit_kind in ('deleted', 'merged') then n else 0 end",
} -%}
{%- set forecast = {
    'n_won': ('1', none), 'n_won_without_amount': ('case when deals.amount_corporate is null then 1 else 0 end', none),
    'won_money': ('deals.amount_corporate', none), 'n_open': (none, '1'),
    'n_open_by_process': (none, "case when p_won_from = 'process' then 1 else 0 end"),
    'n_open_imputed': (none, 'case when is_money_imputed then 1 else 0 end'),
    'n_open_without_money': (none, 'case when money is null then 1 else 0 end'),
    'open_wins': (none, 'case when is_told then cast(p_won_in_quarter as decimal(28, 6)) end'),
    'open_money': (none, 'case when is_told then cast(p_won_in_quarter * cast(money as double) as decimal(28, 2)) end'),
    'imputed_money': (none,
        'case when is_told and is_money_imputed then cast(p_won_in_quarter * cast(money as double) as decimal(28, 2)) end'),
    'crm_commit_money': ('deals.amount_corporate', "case when is_due and forecast_category = 'commit' then amount_corporate end"),
    'crm_best_case_money': ('deals.amount_corporate',
        "case when is_due and forecast_category in ('commit', 'most likely', 'best case') then amount_corporate end"),
    'crm_weighted_money': ('deals.amount_corporate',
        'case when is_due then cast(crm_probability * cast(amount_corporate as double) as decimal(28, 2)) end'),
} -%}
{%- set win_loss = {
    'n_won': "case when outcome = 'won' then n_deals else 0 end", 'n_lost': "case when outcome = 'lost' then n_deals else 0 end",
    'n_open': "case when outcome = 'open' then n_deals else 0 end", 'n_unknown': "case when outcome = 'unknown' then n_deals else 0 end",
    'n_deleted': "case when outcome = 'deleted' then n_deals else 0 end",
    'n_outcome_changed': 'case when is_outcome_changed then n_deals else 0 end',
    'n_amount_unknown': "case when outcome in ('won', 'lost') then n_amount_unknown else 0 end",
} -%}
{%- set movements = {
    'n_movements': 'count(*)', 'count_change': 'sum(movements.count_change)',
    'amount_change_corporate': 'sum(movements.amount_change_corporate)',
    'without_amount_change': 'sum(movements.without_amount_change)',
    'amount_moved_corporate': 'coalesce(sum(movements.amount_corporate), 0)',
} -%}
{%- set as_defined = ['n_open', 'n_open_imputed', 'n_open_without_money'] -%}
with run as (
    select
        as_of,
        conversion_days
    from {{ ref('dim_run') }}
),

deals as (
    select * from {{ ref('fct_opportunities') }}
    where not is_deleted
),

-- one pass over the visits; all that is told of them is summed from here
visits as (
    select
        evidence.sales_process,
        evidence.stage_name,
        evidence.is_closed_stage,
        evidence.is_start_imputed,
        evidence.is_first_entry,
        evidence.is_left_truncated or evidence.is_start_imputed as is_left_out,
        evidence.exit_kind,
        extract(year from evidence.entered_at) as year_no,
        extract(quarter from evidence.entered_at) as quarter_no,
        {{ elapsed_days('evidence.entered_at', 'run.as_of') }} >= run.conversion_days as is_mature,
        evidence.seconds <= 86400 * run.conversion_days as is_within,
        evidence.evidenced_at_entry,
        evidence.evidenced_stage_at_end,
        evidence.evidenced_at_end
    from {{ ref('fct_visit_evidence') }} as evidence
    cross join run
    where evidence.is_mapped
),

visit_counts as (
    {%- set told_by = [
        'sales_process', 'stage_name', 'is_closed_stage', 'is_start_imputed', 'is_first_entry', 'is_left_out', 'exit_kind',
        'year_no', 'quarter_no', 'is_mature', 'is_within', 'evidenced_at_entry', 'evidenced_stage_at_end', 'evidenced_at_end'
    ] %}
    select
        {%- for column in told_by %}
        {{ column }},
        {%- endfor %}
        count(*) as n
    from visits
    group by {{ told_by | join(', ') }}
),

entry_cohorts as (
    select
        visit_counts.*,
        'all' as cohort
    from visit_counts
    where visit_counts.is_first_entry and not visit_counts.is_closed_stage
    union all
    select
        visit_counts.*,
        cast(visit_counts.year_no as {{ dbt.type_string() }}) || '-Q' || cast(visit_counts.quarter_no as {{ dbt.type_string() }}) as cohort
    from visit_counts
    where visit_counts.is_first_entry and not visit_counts.is_closed_stage
),

entry_exits as (
    select
        entry_cohorts.*,
        entry_cohorts.cohort || ': ' || entry_cohorts.exit_kind as cell
    from entry_cohorts
    where not entry_cohorts.is_left_out and entry_cohorts.exit_kind not in ('open', 'deleted', 'merged')
    union all
    select
        entry_cohorts.*,
        entry_cohorts.cohort || ': onward' as cell
    from entry_cohorts
    where not entry_cohorts.is_left_out and entry_cohorts.exit_kind in ('advanced', 'won')
),

-- how far a deal ever came on the way to a win, as reported and as evidenced
ladder as (
    select
        sales_process,
        stage_name,
        row_number() over (partition by sales_process order by stage_order, stage_name) as rung,
        dense_rank() over (order by sales_process) as process_no
    from {{ ref('dim_stage') }}
    where is_won or not is_closed
),

furthest as (
    select
        ladder.process_no,
        {{ deal_key('visits.opportunity_id') }} as deal_key,
        max(case when visits.basis = 'reported' then ladder.rung end) as reported_rung,
        coalesce(max(case when visits.basis = 'defined' then ladder.rung end), 0) as evidenced_rung
    from {{ ref('fct_stage_visits') }} as visits
    inner join ladder on visits.sales_process = ladder.sales_process and visits.stage_name = ladder.stage_name
    group by ladder.process_no, {{ deal_key('visits.opportunity_id') }}
),

rungs as (
    select
        furthest.process_no,
        furthest.reported_rung,
        furthest.evidenced_rung,
        deals.is_set_aside,
        count(*) as n
    from furthest
    inner join {{ ref('fct_opportunities') }} as deals on furthest.deal_key = {{ deal_key('deals.opportunity_id') }}
    group by furthest.process_no, furthest.reported_rung, furthest.evidenced_rung, deals.is_set_aside
),

reached as (
    select
        ladder.sales_process,
        ladder.stage_name,
        case when rungs.evidenced_rung >= ladder.rung then ladder.stage_name end as evidenced_stage_name,
        case
            when rungs.is_set_aside then 'set aside'
            when rungs.evidenced_rung >= ladder.rung then 'same'
            when rungs.evidenced_rung > 0 then 'earlier'
            else 'none'
        end as evidenced_in,
        rungs.n
    from rungs
    inner join ladder on rungs.process_no = ladder.process_no and rungs.reported_rung >= ladder.rung
),

-- one pass over the entries: each trait is summed from here
entries as (
    select
        sales_process,
        stage_name,
        {%- for trait in winnability_traits() %}
        {{ trait }},
        {%- endfor %}
        outcome,
        evidenced_at_end,
        count(*) as n
    from {{ ref('fct_stage_entries') }}
    where basis = 'reported'
    group by
        sales_process,
        stage_name,
        {%- for trait in winnability_traits() %}
        {{ trait }},
        {%- endfor %}
        outcome,
        evidenced_at_end
),

trait_counts as (
    {%- for trait in winnability_traits() %}
    select
        sales_process,
        stage_name,
        '{{ trait }}: ' || coalesce({{ trait }}, 'unknown') as cell,
        outcome,
        evidenced_at_end,
        sum(n) as n
    from entries
    group by sales_process, stage_name, '{{ trait }}: ' || coalesce({{ trait }}, 'unknown'), outcome, evidenced_at_end
    {{ 'union all' if not loop.last }}
    {%- endfor %}
),

touches as (
    select
        sales_process,
        coalesce(stage_name, 'no stage') as stage_name,
        coalesce(evidenced_stage_name, 'no stage') as evidenced_stage_name,
        evidenced_in,
        activity_kind,
        sum(touches) as touches,
        sum(touches_answered) as touches_answered,
        sum(touches_waiting) as touches_waiting,
        sum(responses) as responses,
        sum(n_unknown_direction) as n_unknown_direction
    from {{ ref('fct_touch_stages') }}
    group by sales_process, coalesce(stage_name, 'no stage'), coalesce(evidenced_stage_name, 'no stage'), evidenced_in, activity_kind
),

-- stages are looked up once the seconds are summed
stage_seconds as (
    select
        evidence.sales_process,
        evidence.stage_name,
        evidence.evidenced_at_end = 'set aside' as is_set_aside,
        sum(evidence.seconds) as seconds,
        sum(evidence.seconds_same) as seconds_same,
        sum(evidence.seconds_earlier) as seconds_earlier
    from {{ ref('fct_visit_evidence') }} as evidence
    left join {{ ref('fct_opportunities') }} as deleted
        on {{ deal_key('evidence.opportunity_id') }} = {{ deal_key('deleted.opportunity_id') }} and deleted.is_deleted
    where deleted.opportunity_id is null
    group by evidence.sales_process, evidence.stage_name, evidence.evidenced_at_end = 'set aside'
),

open_seconds as (
    select stage_seconds.*
    from stage_seconds
    left join {{ ref('dim_stage') }} as stages
        on stage_seconds.sales_process = stages.sales_process and stage_seconds.stage_name = stages.stage_name
    where not coalesce(stages.is_closed, false)
),

-- what the forecast tells of wins and of open deals: each deal under its quarter and team
foretold as (
    select
        {%- for figure, (of_won, _) in forecast.items() %}
        {{ 'cast(coalesce(sum(' ~ of_won ~ '), 0) as decimal(28, 6))' if of_won else 'cast(0 as decimal(28, 6))' }} as {{ figure }},
        {%- endfor %}
        deals.sales_process,
        quarters.fiscal_quarter || ': ' || coalesce(owners.team_id, 'no team') as cell,
        deals.evidenced_in
    from deals
    inner join {{ ref('dim_fiscal_quarter') }} as quarters
        on
            quarters.is_current
            and deals.closed_at >= cast(quarters.starts_on as timestamp)
            and deals.closed_at < cast(quarters.ends_before as timestamp)
    left join {{ ref('dim_owner') }} as owners on deals.owner_id = owners.owner_id
    where deals.is_won
    group by deals.sales_process, quarters.fiscal_quarter || ': ' || coalesce(owners.team_id, 'no team'), deals.evidenced_in
    union all
    select
        {%- for figure, (_, of_open) in forecast.items() %}
        {{ 'cast(coalesce(sum(' ~ of_open ~ '), 0) as decimal(28, 6))' if of_open else 'cast(0 as decimal(28, 6))' }} as {{ figure }},
        {%- endfor %}
        sales_process,
        fiscal_quarter || ': ' || team_id as cell,
        evidenced_in
    from (
        select
            *,
            min(case when p_won_by_end is null then 0 else 1 end) over (partition by sales_process, fiscal_quarter) = 1 as is_told
        from {{ ref('fct_deal_forecasts') }}
        where basis = 'reported'
    ) as open_deals
    group by sales_process, fiscal_quarter || ': ' || team_id, evidenced_in
),

-- what moved the pipeline, by what stands evidenced of the deal at as_of
moves as (
    select
        movements.sales_process,
        movements.movement_kind as cell,
        deals.evidenced_in,
        {%- for figure, value in movements.items() %}
        {{ value }} as {{ figure }},
        {%- endfor %}
        count(*) - count(movements.amount_corporate) as unknown
    from {{ ref('fct_pipeline_movements') }} as movements
    inner join {{ ref('fct_opportunities') }} as deals
        on {{ deal_key('movements.opportunity_id') }} = {{ deal_key('deals.opportunity_id') }}
    group by movements.sales_process, movements.movement_kind, deals.evidenced_in
),

-- what came of the deals, by quarter of creation and of the outcome
cohorts_ended as (
    {%- for kind, cohort in [('created', "'all'"), ('created', 'created_in'), ('closed', "'all'"), ('closed', 'closed_in')] %}
    select
        *,
        '{{ kind }}: ' || {{ cohort }} as cell
    from {{ ref('fct_outcomes') }}
    where basis = 'reported'{{ " and outcome in ('won', 'lost')" if kind == 'closed' }}
    {{ 'union all' if not loop.last }}
    {%- endfor %}
),

-- evidenced_stage_name only where the figure is told of a moment: there the as-defined figure of a stage follows from the parts
lines as (
    select
        'fct_opportunities' as view_name,
        'deals' as figure,
        sales_process,
        stage_name,
        'all' as cell,
        evidenced_stage_name,
        evidenced_in,
        cast(count(*) as decimal(28, 6)) as amount_of,
        0 as unknown
    from deals
    group by sales_process, stage_name, evidenced_stage_name, evidenced_in
    union all
    select
        'fct_opportunities' as view_name,
        'amount_corporate' as figure,
        sales_process,
        stage_name,
        'all' as cell,
        evidenced_stage_name,
        evidenced_in,
        cast(sum(amount_corporate) as decimal(28, 6)) as amount_of,
        sum(case when amount_corporate is null then 1 else 0 end) as unknown
    from deals
    group by sales_process, stage_name, evidenced_stage_name, evidenced_in
    {%- for part, seconds in {
        'same': 'seconds_same', 'earlier': 'seconds_earlier', 'none': 'seconds - seconds_same - seconds_earlier'
    }.items() %}
    union all
    select
        'fct_stage_visits' as view_name,
        'stage_seconds' as figure,
        sales_process,
        stage_name,
        'all' as cell,
        cast(null as {{ dbt.type_string() }}) as evidenced_stage_name,
        case when is_set_aside then 'set aside' else '{{ part }}' end as evidenced_in,
        {{ seconds }} as amount_of,
        0 as unknown
    from open_seconds
    {%- endfor %}
    union all
    select
        'rpt_cumulative_flow' as view_name,
        'wip' as figure,
        sales_process,
        stage_name,
        'all' as cell,
        evidenced_stage_at_end as evidenced_stage_name,
        evidenced_at_end as evidenced_in,
        n as amount_of,
        0 as unknown
    from visit_counts
    where exit_kind = 'open' and not is_closed_stage
    {%- for figure in ['first_arrivals', 'first_arrivals_cumulative'] %}
    union all
    select
        'rpt_cumulative_flow' as view_name,
        '{{ figure }}' as figure,
        sales_process,
        stage_name,
        'all' as cell,
        cast(null as {{ dbt.type_string() }}) as evidenced_stage_name,
        evidenced_at_entry as evidenced_in,
        n as amount_of,
        0 as unknown
    from visit_counts
    where is_first_entry
    {%- endfor %}
    union all
    select
        'rpt_cumulative_flow' as view_name,
        'reached_cumulative' as figure,
        sales_process,
        stage_name,
        'all' as cell,
        evidenced_stage_name,
        evidenced_in,
        n as amount_of,
        0 as unknown
    from reached
    {%- for figure, count in duration.items() %}
    union all
    select
        'rpt_stage_duration' as view_name,
        '{{ figure }}' as figure,
        sales_process,
        stage_name,
        'all' as cell,
        cast(null as {{ dbt.type_string() }}) as evidenced_stage_name,
        evidenced_at_end as evidenced_in,
        {{ count }} as amount_of,
        0 as unknown
    from visit_counts
    where not is_closed_stage and not is_start_imputed
    {%- endfor %}
    {%- for figure, condition in conversion.items() %}
    union all
    select
        'rpt_stage_conversion' as view_name,
        '{{ figure }}' as figure,
        sales_process,
        stage_name,
        cohort as cell,
        cast(null as {{ dbt.type_string() }}) as evidenced_stage_name,
        evidenced_at_end as evidenced_in,
        case when {{ condition }} then n else 0 end as amount_of,
        0 as unknown
    from entry_cohorts
    {%- endfor %}
    {%- for figure, count in {'n_exits_ever': 'n', 'n_exits': 'case when is_mature and is_within then n else 0 end'}.items() %}
    union all
    select
        'rpt_stage_conversion' as view_name,
        '{{ figure }}' as figure,
        sales_process,
        stage_name,
        cell,
        cast(null as {{ dbt.type_string() }}) as evidenced_stage_name,
        evidenced_at_end as evidenced_in,
        {{ count }} as amount_of,
        0 as unknown
    from entry_exits
    {%- endfor %}
    {%- for figure in ['touches', 'touches_answered', 'touches_waiting', 'responses', 'n_unknown_direction'] %}
    union all
    select
        'rpt_value_evidence' as view_name,
        '{{ figure }}' as figure,
        sales_process,
        stage_name,
        activity_kind as cell,
        evidenced_stage_name,
        evidenced_in,
        {{ figure }} as amount_of,
        0 as unknown
    from touches
    {%- endfor %}
    {%- for figure in ['n_entered', 'n_won', 'n_lost', 'n_open', 'n_unknown'] %}
    union all
    select
        'rpt_winnability' as view_name,
        '{{ figure }}' as figure,
        sales_process,
        stage_name,
        cell,
        cast(null as {{ dbt.type_string() }}) as evidenced_stage_name,
        evidenced_at_end as evidenced_in,
        {{ 'n' if figure == 'n_entered' else "case when outcome = '" ~ figure[2:] ~ "' then n else 0 end" }} as amount_of,
        0 as unknown
    from trait_counts
    {%- endfor %}
    {%- for figure in forecast %}
    union all
    select
        'rpt_forecast' as view_name,
        '{{ figure }}' as figure,
        sales_process,
        'all stages' as stage_name,
        cell,
        {{ "case when evidenced_in in ('same', 'earlier') then 'all stages' end" if figure in as_defined
            else 'cast(null as ' ~ dbt.type_string() ~ ')' }} as evidenced_stage_name,
        evidenced_in,
        {{ figure }} as amount_of,
        0 as unknown
    from foretold
    {%- endfor %}
    {%- for figure in movements %}
    union all
    select
        'rpt_pipeline_movements' as view_name,
        '{{ figure }}' as figure,
        sales_process,
        'all stages' as stage_name,
        cell,
        cast(null as {{ dbt.type_string() }}) as evidenced_stage_name,
        evidenced_in,
        cast({{ figure }} as decimal(28, 6)) as amount_of,
        {{ 'unknown' if figure == 'amount_moved_corporate' else '0' }} as unknown
    from moves
    {%- endfor %}
    {%- for figure, value in win_loss.items() %}
    union all
    select
        'rpt_win_loss' as view_name,
        '{{ figure }}' as figure,
        sales_process,
        'all stages' as stage_name,
        cell,
        cast(null as {{ dbt.type_string() }}) as evidenced_stage_name,
        evidenced_in,
        cast({{ value }} as decimal(28, 6)) as amount_of,
        0 as unknown
    from cohorts_ended
    {%- endfor %}
),

-- one row for the stage that the CRM tells, one for the stage that is evidenced
placed as (
    select
        view_name,
        figure,
        sales_process,
        stage_name,
        cell,
        evidenced_in,
        amount_of,
        unknown,
        cast(null as decimal(28, 6)) as evidenced_here
    from lines
    union all
    select
        view_name,
        figure,
        sales_process,
        evidenced_stage_name as stage_name,
        cell,
        cast(null as {{ dbt.type_string() }}) as evidenced_in,
        cast(0 as decimal(28, 6)) as amount_of,
        0 as unknown,
        amount_of as evidenced_here
    from lines
    where evidenced_stage_name is not null and evidenced_in <> 'set aside'
),

summed as (
    select
        view_name,
        figure,
        sales_process,
        stage_name,
        cell,
        cast(coalesce(sum(amount_of), 0) as decimal(28, 6)) as reported,
        {%- for part, column in {
            'same': 'evidenced_same', 'earlier': 'evidenced_earlier', 'none': 'evidenced_none', 'set aside': 'set_aside'
        }.items() %}
        cast(coalesce(sum(case when evidenced_in = '{{ part }}' then amount_of end), 0) as decimal(28, 6)) as {{ column }},
        {%- endfor %}
        sum(evidenced_here) as evidenced_here,
        cast(sum(unknown) as bigint) as n_unknown
    from placed
    group by view_name, figure, sales_process, stage_name, cell
)

select
    view_name || '.' || figure || ': ' || sales_process || ': ' || coalesce(stage_name, 'no stage') || ': ' || cell as split_key,
    view_name,
    figure,
    sales_process,
    stage_name,
    cell,
    reported,
    evidenced_same,
    evidenced_earlier,
    evidenced_none,
    set_aside,
    cast(case
        when figure in ('deals', 'amount_corporate', 'wip', 'reached_cumulative') or view_name = 'rpt_value_evidence'
            then coalesce(evidenced_here, 0)
        when
            view_name = 'rpt_forecast'
            and figure in ('{{ as_defined | join("', '") }}')
            then coalesce(evidenced_here, 0)
    end as decimal(28, 6)) as evidenced_here,
    -- parts of a change may have either sign: they are no shares
    case
        when figure not in ('count_change', 'amount_change_corporate', 'without_amount_change')
            then cast(evidenced_same + evidenced_earlier as double) / nullif(cast(reported as double), 0)
    end as evidenced_share,
    n_unknown
from summed

{#- What tells deals apart: name, and where a deal's value stands; the fields of the setting `dimensions` follow. -#}
{%- set dimensions = [
    ('segment', 'deals.segment'), ('opportunity type', 'deals.opportunity_type'), ('lead source', 'deals.lead_source'),
    ('campaign', 'campaigns.campaign_name'), ('product', 'products.product'), ('product family', 'products.product_family'),
    ('team', 'owners.team_name'),
] -%}
{%- set n_named = dimensions | length -%}
{%- for number in range(1, 5) -%}
{%- do dimensions.append((none, 'deals.dimension_' ~ number)) -%}
{%- endfor -%}
{#- Ways out of a stage, by number; then still there, and deleted. -#}
{%- set exit_kinds = ['advanced', 'back', 'lateral', 'won', 'lost', 'won_without_evidence'] -%}
{%- set most_values = 50 -%}
with run as (
    select
        as_of,
        conversion_days,
        minimum_n
    from {{ ref('dim_run') }}
),

-- a deal counts once: for its one product, or among those of several
products as (
    select
        opportunity_id,
        min(first_line_at) as first_line_at,
        case when count(*) = 1 then min(coalesce(product_name, product_id)) else 'several products' end as product,
        case when count(distinct coalesce(product_family, 'none')) = 1 then min(product_family) else 'several families' end
            as product_family
    from {{ ref('fct_opportunity_products') }}
    group by opportunity_id
),

deals as (
    select
        {%- for name, value in dimensions %}
        coalesce(nullif({{ value }}, ''), 'none') as value_{{ loop.index0 }},
        {%- endfor %}
        deals.opportunity_id,
        deals.amount_corporate,
        products.first_line_at
    from {{ ref('fct_opportunities') }} as deals
    left join {{ ref('dim_campaign') }} as campaigns on deals.campaign_id = campaigns.campaign_id
    left join {{ ref('dim_owner') }} as owners on deals.owner_id = owners.owner_id
    left join products on deals.opportunity_id = products.opportunity_id
),

-- a segment that nobody mapped is not none
named as (
    {%- for name, value in dimensions if name %}
    select
        {{ loop.index0 }} as dimension_no,
        '{{ name }}' as dimension,
        {{ "exists (select 1 from deals where value_0 <> 'none')" if name == 'segment' else 'true' }} as is_available
    union all
    {%- endfor %}
    select
        {{ n_named - 1 }} + dimension_no as dimension_no,
        field as dimension,
        status = 'present' as is_available
    from {{ ref('dim_custom_dimension') }}
),

-- the values that most deals have, from 1; the rest together are the next number, none is 0
ranked as (
    {%- for name, value in dimensions %}
    select
        {{ loop.index0 }} as dimension_no,
        value_{{ loop.index0 }} as dimension_value,
        cast(case
            when value_{{ loop.index0 }} = 'none' then 0
            else least(
                row_number() over (
                    partition by value_{{ loop.index0 }} = 'none'
                    order by count(*) desc, value_{{ loop.index0 }}
                ),
                {{ most_values + 1 }}
            )
        end as smallint) as value_no
    from deals
    group by value_{{ loop.index0 }}
    {{ 'union all' if not loop.last }}
    {%- endfor %}
),

told_values as (
    select
        dimension_no,
        value_no,
        case when value_no = {{ most_values + 1 }} then '(other)' else min(dimension_value) end as dimension_value
    from ranked
    where value_no > 0
    group by dimension_no, value_no
    union all
    select
        dimension_no,
        0 as value_no,
        'none' as dimension_value
    from named
),

numbered as (
    select
        {%- for name, value in dimensions %}
        values_{{ loop.index0 }}.value_no as value_no_{{ loop.index0 }},
        {%- endfor %}
        deals.opportunity_id,
        deals.amount_corporate,
        deals.first_line_at
    from deals
    inner join ranked as values_0 on deals.value_0 = values_0.dimension_value and values_0.dimension_no = 0
    {%- for name, value in dimensions[1:] %}
    inner join ranked as values_{{ loop.index }}
        on
            deals.value_{{ loop.index }} = values_{{ loop.index }}.dimension_value
            and values_{{ loop.index }}.dimension_no = {{ loop.index }}
    {%- endfor %}
),

-- millions of visits are grouped: by the number of basis, process and stage
lines as (
    select
        basis,
        sales_process,
        stage_name,
        min(stage_order) as stage_order,
        cast(row_number() over (order by basis, sales_process, stage_name) as integer) as line_no
    from {{ ref('fct_stage_visits') }}
    where is_mapped and not is_closed_stage
    group by basis, sales_process, stage_name
),

-- first entries as in rpt_stage_conversion, in days begun: what is told by dimension rests on whole days. Products are often entered
-- when a deal goes well: at an entry before the first of them it had none, as those deals that never got one
first_entries as (
    select
        lines.line_no,
        {%- for name, value in dimensions %}
        {%- if value.startswith('products.') %}
        cast(case when numbered.first_line_at <= visits.entered_at then numbered.value_no_{{ loop.index0 }} else 0 end as smallint)
            as value_no_{{ loop.index0 }},
        {%- else %}
        numbered.value_no_{{ loop.index0 }},
        {%- endif %}
        {%- endfor %}
        cast(ceil(visits.days_in_stage) as integer) as duration_days,
        cast(case visits.exit_kind
            {%- for kind in exit_kinds %}
            when '{{ kind }}' then {{ loop.index0 }}
            {%- endfor %}
            when 'open' then {{ exit_kinds | length }}
            else {{ exit_kinds | length + 1 }}
        end as smallint) as exit_no,
        visits.is_left_truncated or visits.is_start_imputed as is_left_out,
        {{ elapsed_days('visits.entered_at', 'run.as_of') }} >= run.conversion_days as is_mature
    from {{ ref('fct_stage_visits') }} as visits
    inner join lines
        on
            visits.basis = lines.basis
            and visits.sales_process = lines.sales_process
            and visits.stage_name = lines.stage_name
    inner join numbered on visits.opportunity_id = numbered.opportunity_id
    cross join run
    where visits.is_first_entry and visits.is_mapped and not visits.is_closed_stage
),

-- group_no: line, dimension and value
cells as (
    {%- for name, value in dimensions %}
    select
        100000 * cast(line_no as bigint) + {{ 1000 * loop.index0 }} + value_no_{{ loop.index0 }} as group_no,
        duration_days,
        exit_no,
        is_left_out,
        is_mature,
        count(*) as n
    from first_entries
    where {{ 'true' if name else 'exists (select 1 from named where named.dimension_no = ' ~ loop.index0 ~ ')' }}
    group by value_no_{{ loop.index0 }}, line_no, duration_days, exit_no, is_left_out, is_mature
    {{ 'union all' if not loop.last }}
    {%- endfor %}
),

groups as (
    select
        cells.group_no,
        sum(case when not cells.is_left_out then cells.n else 0 end) as n_entered,
        sum(case when cells.is_left_out then cells.n else 0 end) as n_left_truncated,
        {%- for kind in exit_kinds + ['open', 'deleted'] %}
        sum(case when not cells.is_left_out and cells.exit_no = {{ loop.index0 }} then cells.n else 0 end) as n_{{ kind }},
        {%- endfor %}
        sum(case
            when cells.is_left_out or not cells.is_mature then 0
            when cells.exit_no = {{ exit_kinds | length + 1 }} and cells.duration_days <= run.conversion_days then 0
            else cells.n
        end) as n_rate,
        sum(case
            when cells.is_left_out or not cells.is_mature then 0
            when cells.exit_no in (0, 3) and cells.duration_days <= run.conversion_days then cells.n
            else 0
        end) as n_onward,
        max(case when not cells.is_left_out then cells.duration_days end) as longest_days
    from cells
    cross join run
    group by cells.group_no
),

-- leavers of two kinds: onward (advanced or won) and any other way; who is still there or was deleted is censored
observations as (
    select
        group_no,
        duration_days,
        case when exit_no in (0, 3) then 0 when exit_no < {{ exit_kinds | length }} then 1 end as exit_no,
        sum(n) as n
    from cells
    where not is_left_out
    group by group_no, duration_days, case when exit_no in (0, 3) then 0 when exit_no < {{ exit_kinds | length }} then 1 end
),

life as (
    {{ competing_life_table('observations', ['group_no'], n='n') }}
),

ends as (
    {{ competing_ends('life', ['group_no'], [[0], [1]], '(select conversion_days from run)', n='n') }}
),

left_behind as (
    select
        group_no,
        min(case when survival <= 0.5 + 1e-12 then duration_days end) as p50_days,
        min(case when survival <= 0.15 + 1e-12 then duration_days end) as p85_days,
        min(survival) as survival_ever
    from life
    group by group_no
),

-- those that stand there now, however often they came back
standing as (
    select
        lines.line_no,
        numbered.*
    from {{ ref('fct_stage_visits') }} as visits
    inner join lines
        on
            visits.basis = lines.basis
            and visits.sales_process = lines.sales_process
            and visits.stage_name = lines.stage_name
    inner join numbered on visits.opportunity_id = numbered.opportunity_id
    where visits.exit_kind = 'open' and visits.is_mapped and not visits.is_closed_stage
),

wip as (
    {%- for name, value in dimensions %}
    select
        100000 * cast(line_no as bigint) + {{ 1000 * loop.index0 }} + value_no_{{ loop.index0 }} as group_no,
        count(*) as wip,
        count(*) - count(amount_corporate) as wip_without_amount,
        sum(amount_corporate) as wip_amount_corporate
    from standing
    where {{ 'true' if name else 'exists (select 1 from named where named.dimension_no = ' ~ loop.index0 ~ ')' }}
    group by value_no_{{ loop.index0 }}, line_no
    {{ 'union all' if not loop.last }}
    {%- endfor %}
),

every_group as (
    select group_no from groups
    union
    select group_no from wip
),

put_together as (
    select
        lines.basis,
        lines.sales_process,
        named.dimension,
        case when named.is_available then told_values.dimension_value else 'not available' end as dimension_value,
        lines.stage_name,
        lines.stage_order,
        run.conversion_days,
        run.minimum_n,
        run.as_of,
        {%- for column in ['n_entered', 'n_left_truncated', 'n_rate', 'n_onward'] %}
        coalesce(groups.{{ column }}, 0) as {{ column }},
        {%- endfor %}
        {%- for kind in exit_kinds + ['open', 'deleted'] %}
        coalesce(groups.n_{{ kind }}, 0) as n_{{ kind }},
        {%- endfor %}
        coalesce(wip.wip, 0) as wip,
        coalesce(wip.wip_without_amount, 0) as wip_without_amount,
        wip.wip_amount_corporate,
        coalesce(ends.share_within, 0) as incidence_within,
        coalesce(ends.variance_within, 0) as variance_within,
        coalesce(ends.share_ever, 0) as incidence_ever,
        -- F says nothing of times that nobody was watched for, unless everybody has left
        groups.longest_days >= run.conversion_days or coalesce(left_behind.survival_ever, 1.0) <= 1e-12 as is_watched_long_enough,
        left_behind.p50_days,
        left_behind.p85_days,
        told_values.value_no as value_rank
    from every_group
    cross join run
    inner join lines on cast(floor(every_group.group_no / 100000) as integer) = lines.line_no
    inner join named on cast(floor(every_group.group_no % 100000 / 1000) as integer) = named.dimension_no
    inner join told_values
        on named.dimension_no = told_values.dimension_no and every_group.group_no % 1000 = told_values.value_no
    left join groups on every_group.group_no = groups.group_no
    left join wip on every_group.group_no = wip.group_no
    left join ends on every_group.group_no = ends.group_no and ends.kind_no = 0
    left join left_behind on every_group.group_no = left_behind.group_no
)

select
    basis || ': ' || sales_process || ': ' || dimension || ': ' || cast(value_rank as {{ dbt.type_string() }}) || ': ' || stage_name
        as dimension_stage_key,
    basis,
    sales_process,
    dimension,
    dimension_value,
    cast(value_rank as integer) as value_rank,
    stage_name,
    cast(stage_order as integer) as stage_order,
    conversion_days,
    cast(wip as bigint) as wip,
    cast(wip_without_amount as bigint) as wip_without_amount,
    cast(wip_amount_corporate as decimal(28, 2)) as wip_amount_corporate,
    cast(n_entered as bigint) as n_entered,
    cast(n_left_truncated as bigint) as n_left_truncated,
    {%- for kind in exit_kinds + ['open', 'deleted'] %}
    cast(n_{{ kind }} as bigint) as n_{{ kind }},
    {%- endfor %}
    cast(n_rate as bigint) as n_rate,
    cast(n_onward as bigint) as n_onward,
    case when n_rate >= minimum_n then cast(n_onward as double) / n_rate end as onward_within_days,
    case when n_rate >= minimum_n then {{ wilson_bound('n_onward', 'n_rate', '-') }} end as onward_lower,
    case when n_rate >= minimum_n then {{ wilson_bound('n_onward', 'n_rate', '+') }} end as onward_upper,
    -- to nine places: the last ones of a running sum depend on how the engine cuts it, and the same inputs must give the same rows
    {%- set watched = 'n_entered >= minimum_n and is_watched_long_enough' %}
    round(case when {{ watched }} then incidence_within end, 9) as incidence_within_days,
    round(case when {{ watched }} then {{ log_log_bound('incidence_within', 'variance_within', true) }} end, 9) as incidence_lower,
    round(case when {{ watched }} then {{ log_log_bound('incidence_within', 'variance_within', false) }} end, 9) as incidence_upper,
    round(case when n_entered >= minimum_n then incidence_ever end, 9) as incidence_at_longest,
    case when n_entered >= minimum_n then cast(p50_days as integer) end as p50_days,
    case when n_entered >= minimum_n then cast(p85_days as integer) end as p85_days,
    case
        when n_entered < minimum_n then 'too few'
        when n_rate < minimum_n then 'immature'
        else 'ok'
    end as reads,
    as_of
from put_together

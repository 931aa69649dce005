{{ config(
    materialized='incremental', incremental_strategy='append', tags=['deal_by_deal'],
    pre_hook=["{{ delete_marked_deals() }}", "{{ increments_as_written() }}"], post_hook="{{ joins_as_estimated() }}"
) }}

{#- What must be observed from which rank on. -#}
{%- set ranks = enforced_entry_ranks() -%}
with reported as (
    select * from {{ ref('int_stage_visits') }}
    where {{ is_made_anew('opportunity_id') }}
),

-- per deal and rank: since when all is there that is asked from that rank on, and from every earlier one
rank_met as (
    select
        {%- for rank, rules in ranks %}
        case
            when count(case when definition_id in ('{{ rules | join("', '") }}') then 1 end) = {{ rules | length }}
                then max(case when definition_id in ('{{ rules | join("', '") }}') then first_evidenced_at end)
            else {{ end_of_time() }}
        end as met_{{ rank }}_at,
        {%- endfor %}
        opportunity_id
    from {{ ref('int_stage_evidence') }}
    where {{ is_made_anew('opportunity_id') }}
    group by opportunity_id
),

chain_met as (
    select
        {%- for rank, _ in ranks %}
        coalesce(
            {{ 'greatest(' if not loop.first -}}
            {% for earlier, _ in ranks if earlier <= rank %}rank_met.met_{{ earlier }}_at{{ ', ' if not loop.last }}{% endfor -%}
            {{ ')' if not loop.first }},
            {{ end_of_time() }}
        ) as met_{{ rank }}_at,
        {%- endfor %}
        deals.opportunity_id
    from {{ ref('int_opportunities') }} as deals
    left join rank_met on deals.opportunity_id = rank_met.opportunity_id
    where {{ is_made_anew('deals.opportunity_id') }}
),

-- per deal: from when until when stages of `blocked_rank` and beyond lack evidence; the last one stands for "nothing more is asked"
segments as (
    {%- for rank, _ in ranks + [(999, [])] %}
    {%- set since = beginning_of_time() if loop.first else 'met_' ~ ranks[loop.index0 - 1][0] ~ '_at' %}
    {%- set until = end_of_time() if loop.last else 'met_' ~ rank ~ '_at' %}
    select
        opportunity_id,
        {{ rank }} as blocked_rank,
        {{ since }} as valid_from,
        {{ until }} as valid_to
    from chain_met
    where {{ since }} < {{ until }}
    {{ 'union all' if not loop.last }}
    {%- endfor %}
),

stage_ranks as (
    select
        sales_process,
        stage_name,
        stage_order,
        is_closed,
        is_won,
        is_active,
        -- evidence is asked for a stage and for every earlier one, even where steps fall along the order
        max(case when is_won or not is_closed then step_rank end) over (
            partition by sales_process
            order by stage_order
            rows unbounded preceding
        ) as required_rank
    from {{ ref('stg_control__stage_map') }}
),

blocks as (
    {%- for rank, _ in ranks + [(999, [])] %}
    select {{ rank }} as blocked_rank{{ ' union all' if not loop.last }}
    {%- endfor %}
),

-- reported stage and block -> furthest open stage that is evidenced
furthest_open as (
    select
        stage_ranks.sales_process,
        stage_ranks.stage_name,
        blocks.blocked_rank,
        max_by(candidates.stage_name, candidates.stage_order) as evidenced_stage_name
    from stage_ranks
    cross join blocks
    inner join stage_ranks as candidates
        on
            stage_ranks.sales_process = candidates.sales_process
            and stage_ranks.stage_order >= candidates.stage_order
            and blocks.blocked_rank > candidates.required_rank
    where
        not stage_ranks.is_closed
        and not candidates.is_closed
        and (candidates.is_active or candidates.stage_name = stage_ranks.stage_name)
    group by stage_ranks.sales_process, stage_ranks.stage_name, blocks.blocked_rank
),

evidenced as (
    select
        stage_ranks.sales_process,
        stage_ranks.stage_name,
        blocks.blocked_rank,
        case
            when stage_ranks.is_won and stage_ranks.required_rank >= blocks.blocked_rank then null
            when stage_ranks.is_closed then stage_ranks.stage_name
            else furthest_open.evidenced_stage_name
        end as evidenced_stage_name,
        case when stage_ranks.is_won then 'won_without_evidence' else 'lateral' end as gap_kind
    from stage_ranks
    cross join blocks
    left join furthest_open
        on
            stage_ranks.sales_process = furthest_open.sales_process
            and stage_ranks.stage_name = furthest_open.stage_name
            and blocks.blocked_rank = furthest_open.blocked_rank
),

ended as (
    select
        opportunity_id,
        exited_at as ended_at,
        exit_kind as ended_kind
    from reported
    where exit_kind in ('deleted', 'merged')
),

timeline as (
    select
        reported.opportunity_id,
        reported.sales_process,
        evidenced.evidenced_stage_name as stage_name,
        greatest(reported.entered_at, segments.valid_from) as changed_at,
        reported.visit_seq as tie_1,
        segments.blocked_rank as tie_2,
        case when evidenced.evidenced_stage_name is null then coalesce(evidenced.gap_kind, 'lateral') end as gap_kind,
        reported.is_start_imputed,
        ended.ended_at,
        ended.ended_kind
    from reported
    inner join segments
        on
            reported.opportunity_id = segments.opportunity_id
            and reported.entered_at < segments.valid_to
            and (
                coalesce(reported.exited_at, {{ end_of_time() }}) > segments.valid_from
                or reported.entered_at >= segments.valid_from
            )
    left join evidenced
        on
            reported.sales_process = evidenced.sales_process
            and reported.stage_name = evidenced.stage_name
            and segments.blocked_rank = evidenced.blocked_rank
    left join ended on reported.opportunity_id = ended.opportunity_id
),

{{ stage_visits('timeline') }}

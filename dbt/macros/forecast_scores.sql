{#- The pipeline of each week, as reported, with what each forecast said of it: columns of fct_pipeline_weeks and
p_model (win curves of that week, read between whole weeks), p_crm (its probability where due, else 0), p_commit, p_best_case
(1 or 0), is_scored: every forecast says something. For views. -#}
{% macro scored_pipeline() -%}
    select
        *,
        p_model is not null and p_crm is not null as is_scored
    from (
        select
            pipeline.*,
            {{ between_weeks('at_floor.p_won', 'at_next.p_won', 'weeks.weeks_to_end') }} as p_model,
            case when pipeline.is_due then pipeline.crm_probability when pipeline.crm_probability is not null then 0.0 end as p_crm,
            case when pipeline.is_due and pipeline.forecast_category = 'commit' then 1.0 else 0.0 end as p_commit,
            case when pipeline.is_due and pipeline.forecast_category in ('commit', 'most likely', 'best case') then 1.0 else 0.0 end
                as p_best_case
        from {{ ref('fct_pipeline_weeks') }} as pipeline
        inner join {{ ref('dim_forecast_week') }} as weeks on pipeline.week_no = weeks.week_no
        left join {{ ref('fct_win_curves') }} as at_floor
            on
                at_floor.basis = 'reported'
                and pipeline.week_no = at_floor.week_no
                and pipeline.sales_process = at_floor.sales_process
                and pipeline.stage_name = at_floor.stage_name
                and pipeline.age_from_days = at_floor.age_from_days
                and at_floor.within_weeks = floor(weeks.weeks_to_end)
        left join {{ ref('fct_win_curves') }} as at_next
            on
                at_next.basis = 'reported'
                and pipeline.week_no = at_next.week_no
                and pipeline.sales_process = at_next.sales_process
                and pipeline.stage_name = at_next.stage_name
                and pipeline.age_from_days = at_next.age_from_days
                and at_next.within_weeks = floor(weeks.weeks_to_end) + 1
    ) as said
{%- endmacro %}

{#- Verdict on a mean difference of quarters (theirs less ours) with its interval: above zero, ours errs less. -#}
{% macro beaten(lower, upper) -%}
    case
        when {{ lower }} is null then 'too few quarters'
        when {{ lower }} > 0 then 'ours is better'
        when {{ upper }} < 0 then 'ours does not beat it: it is better'
        else 'ours does not beat it: no difference shown'
    end
{%- endmacro %}

{{ config(tags=['measure']) }}
-- every additive figure: reported = same + earlier + none + set aside, to the last digit; what is evidenced in some stage is what
-- the parts say, and stage-days as defined are those of the evidenced visits
with split as (
    select * from {{ ref('rpt_evidenced_split') }}
),

run as (
    select as_of from {{ ref('dim_run') }}
),

seconds as (
    select
        visits.sales_process,
        sum({{ exact_seconds('visits.entered_at', 'coalesce(visits.exited_at, run.as_of)') }}) as evidenced
    from {{ ref('fct_stage_visits') }} as visits
    inner join {{ ref('fct_opportunities') }} as deals on visits.opportunity_id = deals.opportunity_id
    cross join run
    where visits.basis = 'defined' and not visits.is_closed_stage and not deals.is_deleted
    group by visits.sales_process
),

split_seconds as (
    select
        sales_process,
        sum(evidenced_same + evidenced_earlier) as evidenced
    from split
    where figure = 'stage_seconds'
    group by sales_process
)

select split_key
from split
where
    reported <> evidenced_same + evidenced_earlier + evidenced_none + set_aside
    -- a change of the pipeline may be a loss; all other figures count something
    or (
        least(evidenced_same, evidenced_earlier, evidenced_none, set_aside) < 0
        and (view_name <> 'rpt_pipeline_movements' or figure not like '%change%')
    )
union all
select view_name || '.' || figure || ': ' || sales_process || ': ' || cell as split_key
from split
-- who reached a stage reached the earlier ones too: there earlier is told in no stage of its own
where evidenced_here is not null and figure <> 'reached_cumulative'
group by view_name, figure, sales_process, cell
having sum(case when stage_name <> 'no stage' then evidenced_here else 0 end) <> sum(evidenced_same + evidenced_earlier)
union all
select 'stage_seconds: ' || split_seconds.sales_process as split_key
from split_seconds
left join seconds on split_seconds.sales_process = seconds.sales_process
where split_seconds.evidenced <> coalesce(seconds.evidenced, 0)

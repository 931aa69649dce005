{{ config(tags=['measure']) }}
-- every open deal has one row to count in, queues and unknown owners included
with deals as (
    select
        sales_process,
        count(*) as n_open
    from {{ ref('fct_opportunities') }}
    where is_open and not is_deleted
    group by sales_process
),

loads as (
    select
        sales_process,
        sum(wip) as wip,
        max(process_wip) as process_wip
    from {{ ref('rpt_owner_load') }}
    group by sales_process
)

select
    deals.sales_process,
    deals.n_open,
    loads.wip
from deals
left join loads on deals.sales_process = loads.sales_process
where deals.n_open is distinct from loads.wip or loads.process_wip is distinct from loads.wip

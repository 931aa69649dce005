with run as (
    select as_of
    from {{ ref('stg_control__run') }}
),

-- a deleted deal's lines are deleted with it: they were in it all the same
lines as (
    select
        lines.opportunity_id,
        lines.product_id,
        lines.created_at,
        lines.quantity,
        lines.total_price
    from {{ ref('stg_salesforce__opportunity_line_item') }} as lines
    inner join {{ ref('int_opportunities') }} as deals on lines.opportunity_id = deals.opportunity_id
    cross join run
    where
        lines.created_at <= run.as_of
        and lines.product_id is not null
        and (not lines.is_deleted or deals.is_deleted or lines.last_modified_at > run.as_of)
),

summed as (
    select
        opportunity_id,
        product_id,
        count(*) as line_count,
        min(created_at) as first_line_at,
        -- decimals: their sum depends on no order
        cast(sum(cast(quantity as decimal(24, 6))) as double) as quantity,
        cast(sum(total_price) as decimal(18, 2)) as total_price
    from lines
    group by opportunity_id, product_id
)

select
    summed.opportunity_id || '-' || summed.product_id as opportunity_product_key,
    summed.opportunity_id,
    summed.product_id,
    products.product_name,
    products.product_code,
    products.product_family,
    deals.sales_process,
    deals.currency_code,
    summed.line_count,
    summed.first_line_at,
    summed.quantity,
    summed.total_price,
    cast(summed.total_price as double) / nullif(sum(summed.total_price) over (partition by summed.opportunity_id), 0) as share_of_deal
from summed
inner join {{ ref('int_opportunities') }} as deals on summed.opportunity_id = deals.opportunity_id
left join {{ ref('stg_salesforce__product2') }} as products on summed.product_id = products.product_id

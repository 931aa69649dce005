select
    opportunity_product_key,
    opportunity_id,
    product_id,
    product_name,
    product_code,
    product_family,
    sales_process,
    currency_code,
    line_count,
    first_line_at,
    quantity,
    total_price,
    share_of_deal
from {{ ref('int_opportunity_products') }}

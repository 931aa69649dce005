select
    fiscal_quarter,
    sales_process,
    team,
    owner,
    amount_corporate,
    wins
from {{ source('control', 'target') }}

select
    experiment,
    problem,
    metric,
    sales_process,
    prediction,
    starts_on,
    ends_on,
    owner
from {{ source('control', 'experiment') }}

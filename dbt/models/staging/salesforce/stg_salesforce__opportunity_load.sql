{{ config(materialized='view') }}

with known as (
    select
        "Id" as opportunity_id,
        _batch_seq,
        max(_batch_seq) over () as newest_batch_seq
    from {{ source('salesforce', 'opportunity') }}
    where
        _operation <> 'delete'
        and _extracted_at <= (select run.known_at from {{ ref('stg_control__run') }} as run)
)

select
    opportunity_id,
    _batch_seq
from known
where _batch_seq = newest_batch_seq

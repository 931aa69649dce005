select
    coalesce(opportunity_id, 'without-id') || '-' || cast(
        row_number() over (partition by opportunity_id order by _batch_seq) as {{ dbt.type_string() }}
    ) as row_key,
    opportunity_id as record_id,
    count(*) over (partition by opportunity_id) as copies
from {{ ref('stg_salesforce__opportunity_load') }}

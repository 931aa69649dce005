{{ config(tags=['measure']) }}
-- no kind wastes more than there was, and the listed deals are those counted; 1e-9 is the noise of a sum of doubles
select
    sales_process,
    waste_kind
from {{ ref('rpt_waste') }}
where
    share_of_days > 1 + 1e-9
    or share_of_touches > 1
    or share_of_days < 0
    or n_deals <> coalesce(length(record_ids) - length(replace(record_ids, ',', '')) + 1, 0)

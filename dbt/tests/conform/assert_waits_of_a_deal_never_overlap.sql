{{ config(tags=['conform']) }}
-- A customer waits for one answer at a time, and no wait ends before it begins.
with waits as (
    select
        wait_id,
        began_at,
        ended_at,
        lead(began_at) over (partition by opportunity_id order by began_at) as next_began_at
    from {{ ref('int_deal_waits') }}
    where {{ is_marked('opportunity_id') }}
)

select wait_id
from waits
where ended_at < began_at or next_began_at < coalesce(ended_at, {{ end_of_time() }})

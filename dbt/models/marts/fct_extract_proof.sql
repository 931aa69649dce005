select
    object,
    batch_seq,
    mode,
    counted,
    counted_after,
    received,
    case
        -- windows of a load are still to come, or the newest run stopped before this object
        when not is_whole then 'incomplete'
        when counted is null or received is null then 'not stated'
        when received = counted and received = coalesce(counted_after, counted) then 'exact'
        -- rows left or entered the window while it was read: what arrived lies between the two counts
        when received between least(counted, counted_after) and greatest(counted, counted_after) then 'org moved'
        else 'incomplete'
    end as proof,
    read_at,
    ids_compared_at,
    formulas_refreshed_at
from {{ ref('stg_control__landed_object') }}

-- a record that is gone may land though it did not arrive (a full list misses it); nothing else lands that did not
select
    run_seq,
    object,
    count(*) as n
from {{ ref('fct_extract_runs') }}
group by run_seq, object
having
    count(*) > 1
    or max(landed) > max(received) + max(deleted)
    or max(case when state = 'unchanged' then landed + bytes else 0 end) > 0

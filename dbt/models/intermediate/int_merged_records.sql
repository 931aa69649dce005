-- a merge deletes the loser and names its master, which may itself lose a later merge: chains are followed to their end
with recursive run as (
    select as_of from {{ ref('stg_control__run') }}
),

losers as (
    {%- for object in ['account', 'contact', 'lead'] %}
    {%- if not loop.first %}
    union all
    {%- endif %}
    select
        '{{ object }}' as object,
        {{ object }}_id as loser_id,
        master_{{ object }}_id as master_id,
        coalesce(last_modified_at, system_modstamp_at, created_at) as merged_at
    from {{ ref('stg_salesforce__' ~ object) }}
    where is_deleted and master_{{ object }}_id <> {{ object }}_id
    {%- endfor %}
),

merges as (
    select losers.*
    from losers
    cross join run
    where losers.merged_at <= run.as_of
),

-- a circle of masters, which Salesforce does not make, ends where it reaches the loser again
chains as (
    select
        object,
        loser_id,
        master_id,
        merged_at,
        1 as n_merges
    from merges
    union all
    select
        chains.object,
        chains.loser_id,
        merges.master_id,
        chains.merged_at,
        chains.n_merges + 1 as n_merges
    from chains
    inner join merges on chains.master_id = merges.loser_id
    where merges.master_id <> chains.loser_id and chains.n_merges < 100
),

ends as (
    select
        *,
        row_number() over (partition by loser_id order by n_merges desc) as place
    from chains
)

select
    object,
    loser_id,
    master_id,
    n_merges,
    merged_at
from ends
where place = 1

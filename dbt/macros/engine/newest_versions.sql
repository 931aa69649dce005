{#- The current state of each record, from the landing log.

`not_yet_applied()` restricts a landing relation to what a run may know and has not applied yet; `newest_versions(renamed, key)`
ends a staging model: one row per key. A rebuild from nothing and a run of increments give the same rows, because versions are
ordered by batch first, and a batch is applied whole.

A deletion (`_operation` = 'delete') carries the record as it went: when, and into which record it was merged. It counts like
any version, also where it is the first that was seen. A tombstone may carry the Id alone: the record then keeps its last known
values and is marked deleted; where it has none, it is left out.
-#}
{% macro not_yet_applied() -%}
    "Id" is not null
    and _extracted_at <= (select run.known_at from {{ ref('stg_control__run') }} as run)
    {%- if is_incremental() %}
    and _batch_seq > (select coalesce(max(applied._batch_seq), 0) from {{ this }} as applied)
    {%- endif %}
{%- endmacro %}

{% macro newest_versions(renamed, key, tie_breakers=[]) -%}
    {{ return(adapter.dispatch('newest_versions', 'leanfunnel')(renamed, key, tie_breakers)) }}
{%- endmacro %}

{% macro duckdb__newest_versions(renamed, key, tie_breakers) -%}
versions as (
    select * from {{ renamed }}
    {%- if is_incremental() %}
    union all by name
    select *, 'upsert' as _operation
    from {{ this }}
    where {{ key }} in (select {{ key }} from {{ renamed }} where _operation = 'delete')
    {%- endif %}
),

ranked as (
    select
        *,
        _operation = 'delete' and is_deleted is null and system_modstamp_at is null as _is_bare,
        row_number() over (
            partition by {{ key }}
            order by
                (_operation = 'delete' and is_deleted is null and system_modstamp_at is null),
                _batch_seq desc, system_modstamp_at desc nulls last
                {%- for column in tie_breakers %}, {{ column }} desc nulls last{% endfor %}
        ) as _rank,
        max(case when _operation = 'delete' then _batch_seq end) over (partition by {{ key }}) as _deleted_in,
        max(_extracted_at) over (partition by {{ key }}) as _newest_extracted_at
    from versions
)

select
    * exclude (_rank, _is_bare, _deleted_in, _newest_extracted_at, _operation)
    replace (
        coalesce(is_deleted, false) or coalesce(_deleted_in >= _batch_seq, false) as is_deleted,
        greatest(_batch_seq, coalesce(_deleted_in, _batch_seq)) as _batch_seq,
        _newest_extracted_at as _extracted_at
    )
from ranked
where _rank = 1 and not _is_bare
{%- endmacro %}

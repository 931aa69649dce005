{#- Values of a key that several rows share, for tests of keys: ends with a `having`. Checksums are counted first: as many different
ones as rows prove that no two values are equal, and numbers are counted in half the time of texts. Only otherwise the values
themselves are looked at. -#}
{% macro rows_of_one_key(model, columns, condition, of_deal=none) -%}
{%- set of_marked = is_marked(of_deal).strip() if of_deal else 'true' -%}
{%- set condition = condition ~ ' and ' ~ of_marked -%}
{%- set key = columns | join(', ') -%}
{%- set checksum_of_key = 'case when ' ~ columns | join(' is not null and ') ~ ' is not null then ' ~ checksum(columns) ~ ' end' -%}
{%- set counted -%}
    select coalesce(sum(n), 0) - count(value_checksum) as n_more
    from (
        select
            {{ checksum_of_key }} as value_checksum,
            count(*) as n
        from {{ model }}
        where {{ condition }}
        group by {{ checksum_of_key }}
    ) as checksums
{%- endset -%}
{%- if not execute -%}
    {%- set n_more = 0 -%}
{%- elif of_marked == 'true' -%}
    {%- set n_more = run_query(counted).columns[0].values()[0] -%}
{%- else -%}
    {%- set n_more = told_of_few(counted) -%}
{%- endif -%}
select
    {{ key }},
    count(*) as n_rows
from {{ model }}
where {{ condition if n_more > 0 else 'false' }}
group by {{ key }}
having count(*) > 1
{%- endmacro %}

{#- Values of a key that several rows share, for tests of keys: ends with a `having`. Checksums are counted first: as many different
ones as rows prove that no two values are equal, and numbers are counted in half the time of texts. Only otherwise the values
themselves are looked at. -#}
{% macro rows_of_one_key(model, columns, condition, of_deal=none) -%}
{%- set condition = condition ~ (' and ' ~ is_marked(of_deal) if of_deal else '') -%}
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
select
    {{ key }},
    count(*) as n_rows
from {{ model }}
where {{ condition if not execute or run_query(counted).columns[0].values()[0] > 0 else 'false' }}
group by {{ key }}
having count(*) > 1
{%- endmacro %}

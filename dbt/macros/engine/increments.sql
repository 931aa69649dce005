{#- Increments: work on what changed since the model last ran. Two kinds of models do.

Models that do not depend on as_of: staged rows carry the batch that brought their version; a model keeps, per source, the newest
batch that it has reflected, in rows of its own. So what is committed and what is noted as reflected are one transaction, and a run
that was cut off is made good by the next. A record that leaves a model stays in it as a row that says so: only then can it be replaced, and nothing is read twice.
-#}

{#- The newest batch of a source that this model reflects, from the column where it keeps that; 0 where it is built from nothing. -#}
{% macro reflected(column, where=none) -%}
    {%- if is_incremental() -%}
    (select coalesce(max({{ column }}), 0) from {{ this }}{% if where %} where {{ where }}{% endif %})
    {%- else -%}
    0
    {%- endif -%}
{%- endmacro %}

{#- Ends a `where` of such a model: of an increment, the keys of its CTE `concerned` (one column, concerned_id) alone. -#}
{% macro and_concerned(column) -%}
    {%- if is_incremental() %} and {{ column }} in (select concerned.concerned_id from concerned){% endif -%}
{%- endmacro %}

{#- Models that know as_of, and of which all rows of a deal follow from what `int_deal_state` sums up of it: rows of the deals that
it marks are deleted and made anew. Such a model is configured by `deal_by_deal`, and restricts what it reads to those deals.

It holds whichever way as_of moves, since a deal whose inputs are the same has the same rows. `int_deals_reflected` closes the
account: until it is built, a marked deal stays marked.
-#}

{#- The rows of deals that are made anew, out of the table: a pre_hook. -#}
{% macro delete_marked_deals(column='opportunity_id') -%}
    {%- if is_incremental() -%}
    delete from {{ this }} where {{ column }} in {{ marked_deals() }}
    {%- endif -%}
{%- endmacro %}

{#- Where most deals are marked, what works deal by deal is built from nothing: to delete and insert most rows of a table takes longer
than to write it, and more memory. A post_hook of `int_deal_state`. -#}
{% macro drop_what_is_mostly_marked() -%}
    {%- if execute -%}
    {%- set found = run_query("select coalesce(avg(case when is_marked then 1.0 else 0.0 end), 0) as share_marked from " ~ this) -%}
    {%- if found.columns[0].values()[0] > 0.5 -%}
        {%- for node in graph.nodes.values() if 'deal_by_deal' in node.tags -%}
            {%- set relation = adapter.get_relation(database=node.database, schema=node.schema, identifier=node.alias) -%}
            {%- if relation -%}
                {%- do adapter.drop_relation(relation) -%}
            {%- endif -%}
        {%- endfor -%}
    {%- endif -%}
    {%- endif -%}
{%- endmacro %}

{#- A condition of such a model: of an increment, the deals to be made anew alone. -#}
{% macro is_made_anew(column) -%}
    {%- set of = marked_deals() -%}
    {{ column ~ ' in ' ~ of if is_incremental() else 'true' }}
{%- endmacro %}

{% macro marked_deals() -%}
    (select marked.opportunity_id from {{ ref('int_deal_state') }} as marked where marked.is_marked)
{%- endmacro %}

{#- A number for the values of a row: two rows of different values share one as good as never (64 bits). `of` is an alias, for all
columns of it, or a list of expressions. -#}
{% macro checksum(of) -%}
    {{ return(adapter.dispatch('checksum', 'leanfunnel')(of)) }}
{%- endmacro %}

{% macro duckdb__checksum(of) -%}
    hash({{ of if of is string else of | join(', ') }})
{%- endmacro %}

{% macro spark__checksum(of) -%}
    xxhash64({{ of ~ '.*' if of is string else of | join(', ') }})
{%- endmacro %}

{#- Of all rows of a group, in whatever order. -#}
{% macro sum_of_checksums(of) -%}
    sum(cast({{ checksum(of) }} as decimal(38, 0)))
{%- endmacro %}

{#- For tests of what is built deal by deal: whether a deal was made anew, of the others nothing can have become wrong. Where all were,
nothing is looked up. -#}
{% macro is_marked(column) -%}
    {%- set of = marked_deals() -%}
    {%- set relation = ref('int_deal_state') -%}
    {%- if not execute or load_relation(relation) is none -%}
    true
    {%- elif run_query("select count(*) as n from " ~ relation ~ " where not is_marked").columns[0].values()[0] == 0 -%}
    true
    {%- else -%}
    {{ column }} in {{ of }}
    {%- endif -%}
{%- endmacro %}

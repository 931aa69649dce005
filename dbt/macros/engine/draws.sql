{#- Rows from numbers, and draws without state: the same keys give the same draw, in any order and any number of threads. -#}

{#- Whole numbers from first to last, one row each, inside a select list. -#}
{% macro numbers_between(first, last) -%}
    {{ return(adapter.dispatch('numbers_between', 'leanfunnel')(first, last)) }}
{%- endmacro %}

{% macro duckdb__numbers_between(first, last) -%}
    cast(unnest(generate_series({{ first }}, {{ last }})) as integer)
{%- endmacro %}

{% macro spark__numbers_between(first, last) -%}
    explode(sequence(cast({{ first }} as int), cast({{ last }} as int)))
{%- endmacro %}

{#- Uniform draw in [0, 1) from a key (text) and a counter. The engine's own hash of two columns is the xor of two hashes, so
that two keys would move together over all counters: the hash of that xor does not. Another version of the engine may hash
another way: figures that rest on draws then move within the noise of the trials. -#}
{% macro uniform_draw(key, counter) -%}
    {{ return(adapter.dispatch('uniform_draw', 'leanfunnel')(key, counter)) }}
{%- endmacro %}

{% macro duckdb__uniform_draw(key, counter) -%}
    (cast(hash(xor(hash({{ key }}), hash(cast({{ counter }} as bigint)))) >> 11 as double) / 9007199254740992.0)
{%- endmacro %}

{% macro spark__uniform_draw(key, counter) -%}
    (cast(shiftrightunsigned(xxhash64(xxhash64({{ key }}) ^ xxhash64(cast({{ counter }} as bigint))), 11) as double) / 9007199254740992.0)
{%- endmacro %}

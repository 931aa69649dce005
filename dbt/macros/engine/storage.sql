{#- How an engine stores a table. DuckDB looks for a dictionary in every text column. Keys hardly ever repeat: it finds none that is
smaller, and has spent half of the time that the column takes to write. They are stored as they are. So are instants and fractions, which
fill as much place compressed. Texts that do repeat are left to DuckDB: a file of an older version has no dictionary to ask for. -#}

{#- By name: a column that is wrongly here takes some place, one that is wrongly not here some time. -#}
{% macro is_rarely_repeated(column) -%}
    {%- set of_few = ['owner_id', 'record_type_id', 'campaign_id', 'definition_id', 'team_id', 'run_id', '_build_id'] -%}
    {%- set is_an_id = column.endswith('_id') and not column.endswith('_by_id') and column not in of_few -%}
    {{ return(is_an_id or column.endswith('_key') or column.endswith('_url') or column in ('opportunity_name', 'record_name')) }}
{%- endmacro %}

{#- Type and compression of a column. -#}
{% macro stored(column, data_type, words=none) -%}
    {%- set kind = data_type.lower() -%}
    {{ words if words else data_type }}
    {%- if kind in ('double', 'timestamp') or (kind == 'varchar' and is_rarely_repeated(column)) %} using compression uncompressed
    {%- endif -%}
{%- endmacro %}

{#- Where all words of a column are known, its rows are written, joined and grouped by the number of the word: in less time. A table
says so of its columns under `meta: words`: the words themselves, or their kind in `int_words`, which it then depends on. In
alphabetical order, so that words sort as their texts do. A word that is not among them fails the build, as it fails a test of
accepted values. Never of a field that anybody may write into: a name that is erased from the rows would stay in the type.

By column: a type, for those that have one. -#}
{% macro word_types() -%}
    {%- set told = (model.config.get('meta') or {}).get('words') or {} -%}
    {%- set found, types = {}, {} -%}
    {%- if told.values() | select('string') | list -%}
        {%- set place = graph.nodes['model.leanfunnel.int_words'] -%}
        {%- for row in run_query('select word_kind, word from ' ~ api.Relation.create(place.database, place.schema, place.alias)).rows -%}
            {%- do found.setdefault(row[0], []).append(row[1]) -%}
        {%- endfor -%}
    {%- endif -%}
    {%- for column, words in told.items() -%}
        {%- set known = found.get(words, []) if words is string else words -%}
        {%- if known and known | length <= 1000 -%}
            {%- set quoted = [] -%}
            {%- for word in known | unique(case_sensitive=true) | sort(case_sensitive=true) -%}
                {%- do quoted.append("'" ~ word | replace("'", "''") ~ "'") -%}
            {%- endfor -%}
            {%- do types.update({column: 'enum(' ~ quoted | join(', ') ~ ')'}) -%}
        {%- endif -%}
    {%- endfor -%}
    {{ return(types) }}
{%- endmacro %}

{#- A contract knows texts alone. -#}
{% macro duckdb__format_column(column) -%}
    {%- set data_type = 'VARCHAR' if column.dtype.startswith('ENUM(') else column.dtype -%}
    {{ return({'name': column.name, 'data_type': data_type, 'formatted': column.column.lower() ~ ' ' ~ data_type}) }}
{%- endmacro %}

{#- The adapter's own, but for words: rows that a unit test is given may hold any text. -#}
{% macro duckdb__get_columns_in_relation(relation) -%}
    {%- call statement('get_columns_in_relation', fetch_result=True) -%}
    select
        column_name,
        case when column_type like 'ENUM(%' then 'VARCHAR' else column_type end as data_type,
        cast(null as bigint) as character_maximum_length,
        cast(null as bigint) as numeric_precision,
        cast(null as bigint) as numeric_scale
    from (describe {{ relation.render() }})
    {%- endcall -%}
    {{ return(sql_convert_columns_in_relation(load_result('get_columns_in_relation').table)) }}
{%- endmacro %}

{#- dbt's own list of columns, for tables with a contract. -#}
{% macro duckdb__get_table_columns_and_constraints() -%}
    {%- set of_columns = adapter.render_raw_columns_constraints(raw_columns=model['columns']) -%}
    {%- set of_table = adapter.render_raw_model_constraints(raw_constraints=model['constraints']) -%}
    {%- set types = word_types() -%}
    (
    {%- for column in of_columns %}
    {%- set name, rest = column.split(' ', 1) %}
    {{ name }} {{ stored(name, rest, types.get(name)) }}{{ ',' if not loop.last or of_table }}
    {%- endfor %}
    {%- for constraint in of_table %}
    {{ constraint }}{{ ',' if not loop.last }}
    {%- endfor %}
    )
{%- endmacro %}

{#- The adapter's own, for tables of SQL that are not partitioned. Of a table without a contract the types are asked of the query. -#}
{% macro duckdb__create_table_as(temporary, relation, compiled_code, language='sql', partitioned_by=none, sorted_by=none) -%}
    {%- if language != 'sql' or partitioned_by or sorted_by -%}
    {{ exceptions.raise_compiler_error(relation ~ ": tables are made of SQL here, neither partitioned nor sorted") }}
    {%- elif temporary -%}
    create temporary table {{ relation.include(database=false, schema=false) }} as (
    {{ compiled_code }}
    );
    {%- elif config.get('contract').enforced -%}
    {{ get_assert_columns_equivalent(compiled_code) }}
    create table {{ relation }} {{ get_table_columns_and_constraints() }};
    insert into {{ relation }} {{ get_column_names() }} (
    {{ get_select_subquery(compiled_code) }}
    );
    {%- else -%}
    create table {{ relation }} (
    {%- for column in run_query('describe select * from (\n' ~ compiled_code ~ '\n) as described').rows %}
    {{ adapter.quote(column[0]) }} {{ stored(column[0], column[1]) }}{{ ',' if not loop.last }}
    {%- endfor %}
    );
    insert into {{ relation }} (
    {{ compiled_code }}
    );
    {%- endif -%}
{%- endmacro %}

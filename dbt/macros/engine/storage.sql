{#- How an engine stores a table. DuckDB looks for a dictionary in every text column. Keys hardly ever repeat: it finds none that is
smaller, and has spent half of the time that the column takes to write. They are stored as they are. So are instants and fractions, which
fill as much place compressed. Texts that do repeat are left to DuckDB: a file of an older version has no dictionary to ask for. -#}

{#- By name: a column that is wrongly here takes some place, one that is wrongly not here some time. -#}
{% macro is_rarely_repeated(column) -%}
    {%- set of_few = ['owner_id', 'record_type_id', 'campaign_id', 'definition_id', 'team_id', 'run_id', '_build_id'] -%}
    {%- set is_an_id = column.endswith('_id') and not column.endswith('_by_id') and column not in of_few -%}
    {{ return(is_an_id or column.endswith('_key') or column.endswith('_url') or column in ('opportunity_name', 'record_name')) }}
{%- endmacro %}

{#- The end of a column's definition. -#}
{% macro stored(column, data_type) -%}
    {%- set kind = data_type.lower() -%}
    {%- if kind in ('double', 'timestamp') or (kind == 'varchar' and is_rarely_repeated(column)) %} using compression uncompressed
    {%- endif -%}
{%- endmacro %}

{#- dbt's own list of columns, for tables with a contract. -#}
{% macro duckdb__get_table_columns_and_constraints() -%}
    {%- set of_columns = adapter.render_raw_columns_constraints(raw_columns=model['columns']) -%}
    {%- set of_table = adapter.render_raw_model_constraints(raw_constraints=model['constraints']) -%}
    (
    {%- for column in of_columns %}
    {{ column }}{{ stored(column.split(' ')[0], column.split(' ')[1]) }}{{ ',' if not loop.last or of_table }}
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
    {{ adapter.quote(column[0]) }} {{ column[1] }}{{ stored(column[0], column[1]) }}{{ ',' if not loop.last }}
    {%- endfor %}
    );
    insert into {{ relation }} (
    {{ compiled_code }}
    );
    {%- endif -%}
{%- endmacro %}

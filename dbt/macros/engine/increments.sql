{#- Increments of models that do not depend on as_of: work on what changed since the model last ran.

Staged rows carry the batch that brought their version; a model keeps, per source, the newest batch that it has reflected, in rows
of its own. So what is committed and what is noted as reflected are one transaction, and a run that was cut off is made good by
the next. A record that leaves a model stays in it as a row that says so: only then can it be replaced, and nothing is read twice.
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

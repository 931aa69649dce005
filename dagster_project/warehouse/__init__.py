"""The warehouse: one DuckDB file written by one writer, fed by the landing log, shaped by dbt.

Belongs here: landing views, control tables, the stage map, the in-process dbt build. Does not: Salesforce, Dagster, rules.
"""

MEMORY_LIMIT = "2GB"
"""How much DuckDB may hold in memory unless a setting says otherwise; what does not fit is put on the disk meanwhile."""

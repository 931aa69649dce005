"""The warehouse: one DuckDB file written by one writer, fed by the landing log, shaped by dbt.

Belongs here: landing views, control tables, the stage map, the in-process dbt build. Does not: Salesforce, Dagster, rules.
"""

import os

MEMORY_LIMIT = f"{int(0.8 * os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') / 1e6)}MB"
"""How much DuckDB may hold in memory unless a setting says otherwise: four fifths of the machine's, as DuckDB itself has it."""

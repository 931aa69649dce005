"""The warehouse: one DuckDB file written by one writer, fed by the landing log, shaped by dbt.

Belongs here: landing views, control tables, the stage map, the in-process dbt build. Does not: Salesforce, Dagster, rules.
"""

import os

MEMORY_LIMIT = f"{int(0.8 * os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') / 1e6)}MB"
"""How much DuckDB may hold in memory unless a setting says otherwise: four fifths of the machine's, as DuckDB itself has it."""
SIDE_BY_SIDE_MB = 4000
"""From how much memory two things are done at once."""
MARTS_SIDE_BY_SIDE_MB = 2000
"""From how much memory two marts are built at once: none of them holds as much as what brings the records into shape."""


def is_scarce(limit: str, enough_mb: int = SIDE_BY_SIDE_MB) -> bool:
    """Whether a limit (like 4GB or 512 MiB) asks for one thing after the other instead of two at once."""
    digits = limit[: -len(limit.lstrip("0123456789"))]
    unit = {"MB": 1.0, "MiB": 1.048576, "GB": 1e3, "GiB": 1073.741824}[limit[len(digits) :].strip()]
    return int(digits) * unit < enough_mb

"""The append-only log of everything that was ever read from the org, as Delta Lake tables.

Belongs here: committing a batch, what a table's log says of its state, which files hold what, and the same kind of
table for the state that people and audits make. Does not: Salesforce, Dagster, the warehouse.
"""

from dagster_project.landing.log import Batch, Committed, InventoryRow, LandingLog, ObjectState
from dagster_project.landing.table import AppendOnlyTable

__all__ = ["AppendOnlyTable", "Batch", "Committed", "InventoryRow", "LandingLog", "ObjectState"]

"""What must leave a home again: records that are to be forgotten (GDPR, Art. 17), and rows past the days they are kept.

Belongs here: which rows and cells these are, in landing, state, warehouse and publications; taking them out for good; keeping them
out. Does not: building the mart anew (pipeline), the command line.
"""

from dagster_project.erasure.forget import Found, Place, forget, look, refuse_unfinished
from dagster_project.erasure.gate import Gate
from dagster_project.erasure.retention import Retained, retain
from dagster_project.erasure.tombstones import Tombstones

__all__ = ["Found", "Gate", "Place", "Retained", "Tombstones", "forget", "look", "refuse_unfinished", "retain"]

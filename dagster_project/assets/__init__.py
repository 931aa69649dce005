"""Thin Dagster wrappers around the steps of the path, one file per step. No SOQL, no SQL and no rule of their own."""

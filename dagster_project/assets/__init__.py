"""Thin Dagster wrappers around the steps of the path, one file per step. No SOQL, no SQL and no rule of their own.

No `from __future__ import annotations` in these files: Dagster reads the annotations of contexts and configs as they are.
"""

"""Reading a Salesforce org: which objects and fields, how to log in, REST, Bulk API 2.0, typed rows with proof.

Belongs here: everything that knows Salesforce. Does not: the landing, the warehouse, Dagster, settings. Import the
modules, not this package's names: `requests` and `duckdb` are loaded when they are needed.
"""

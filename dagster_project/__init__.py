"""leanfunnel: the path from a Salesforce org to a published flow-metrics mart.

    salesforce (extract) -> landing (log) -> warehouse (dbt: conform) -> contracts (audit)
        -> warehouse (dbt: measure) -> publish

The import rule: each step knows only what stands before the arrow it serves. `salesforce` knows no warehouse, `landing`
knows no Salesforce, `contracts` knows neither; `pipeline` puts the steps in order; `assets` wraps them for Dagster; only
`resources`, `definitions` and `cli` read `settings`. `tests/architecture` keeps it.
"""

"""Seeded schedules of faults, org changes and kills against extract, land and load: the landing must end as the org is.

`python -m tests.faults --seeds 0:1000` runs them, `--seed 417` plays one again.
"""

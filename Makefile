# The only place where commands are spelled out. `make demo` and `make test` need Python 3.11 or newer and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Great Expectations, dbt and Dagster send nothing home
export GX_ANALYTICS_ENABLED := false
export DBT_SEND_ANONYMOUS_USAGE_STATS := false
export DAGSTER_DISABLE_TELEMETRY := yes

.DEFAULT_GOAL := help
.PHONY: help install demo dev test lint unit integration coverage constraints faults clients bench-contracts bench-extract bench-mart bench-simulator lock clean

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

$(VENV)/.runtime: pyproject.toml requirements.lock
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "leanfunnel needs Python 3.11 or newer; try: make PYTHON=python3.12 ...")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c requirements.lock -e .
	@touch $@

$(VENV)/.dev: $(VENV)/.runtime
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c requirements.lock -e '.[dev]'
	@touch $@

install: $(VENV)/.runtime ## the runtime, in .venv

demo: $(VENV)/.runtime ## the main job on a generated company, published into ./demo
	$(BIN)/leanfunnel demo

dev: $(VENV)/.dev ## the demo org and the Dagster UI on http://127.0.0.1:3000
	$(BIN)/python -m dagster_project.dev

test: lint unit integration ## linters and every test that is not long

# sqlfluff's dbt templater opens a warehouse of its own, an empty one
lint: export LEANFUNNEL_CONFORMED := $(CURDIR)/.lint/conformed.duckdb
lint: export LEANFUNNEL_BUILDING := $(CURDIR)/.lint/leanfunnel.duckdb
lint: $(VENV)/.dev
	@mkdir -p .lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/dbt parse --project-dir dbt --profiles-dir dbt --quiet --no-partial-parse --target-path ../.lint/dbt --log-path .lint/logs
	$(BIN)/sqlfluff lint dbt/models dbt/tests dbt/macros --disable-progress-bar --nocolor

unit: $(VENV)/.dev
	$(BIN)/python -m pytest -q -n 2 tests/unit tests/architecture

# tests of one file share what was built for them: one worker takes all of it, in order of name, so that long ones do not come last
integration: $(VENV)/.dev
	$(BIN)/python -m pytest -q -n 2 --dist loadfile --no-loadscope-reorder tests/integration

coverage: $(VENV)/.dev ## do the 95 % intervals of conversion, medians and forecast cover the truth? 200 seeds
	$(BIN)/python -m bench.coverage --seeds 200

constraints: $(VENV)/.dev ## is the planted constraint named, and nothing where none is? 360 generated orgs
	$(BIN)/python -m bench.constraints --seeds 1000:1020

faults: $(VENV)/.dev ## 1,000 seeded schedules of faults, org changes and kills against the extraction
	$(BIN)/python -m tests.faults --seeds 0:1000 --kills 200

clients: $(VENV)/.dev ## clients that others wrote against the simulator: every row, equal by hash (needs npm)
	$(BIN)/python -m bench.clients

bench-extract: $(VENV)/.dev ## extraction of 1,000,000 opportunities beside its peers and the limit
	$(BIN)/python -m bench.extract

bench-contracts: $(VENV)/.dev ## the operational definitions on 1,000,000 opportunities beside the same rules in plain SQL
	$(BIN)/python -m bench.contracts

bench-mart: $(VENV)/.dev ## eight metrics beside the same by hand, on 1,000,000 opportunities; growth to 2,000,000; after a change
	$(BIN)/python -m bench.mart

bench-simulator: $(VENV)/.dev ## an org of 1,000,000 opportunities, generated and served, beside a static file server
	$(BIN)/python -m bench.simulator --opportunities 1000000

lock: ## write requirements.lock from a fresh environment
	rm -rf .lint/lock && $(PYTHON) -m venv .lint/lock
	.lint/lock/bin/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	{ echo '# exact versions that were tested together: names and versions only; made by `make lock`'; \
	  .lint/lock/bin/python -m pip freeze --exclude-editable; } > requirements.lock
	rm -rf .lint/lock

clean: ## what runs produced (not ./data, a real org's files)
	rm -rf demo .lint dbt/target dbt/logs .pytest_cache .mypy_cache .ruff_cache

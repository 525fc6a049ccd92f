# Each target sets up .venv by itself, once for each state of setup.cfg and pyproject.toml.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/installed

.PHONY: demo demo-once serve test test-live endurance lint format bench clean

demo: $(STAMP)
	@PYTHONPATH=tests $(BIN)/consignee demo

demo-once: $(STAMP)
	@PYTHONPATH=tests $(BIN)/consignee demo --once

serve: $(STAMP)
	@$(BIN)/consignee serve --config config/development.toml

# A killed process may leave a part behind that would spoil the next report.
test: $(STAMP)
	@rm -f .coverage .coverage.*
	@$(BIN)/pytest --cov --cov-report=term-missing:skip-covered

# The vendors' own services, for every type whose credentials are in the environment: see CONTRIBUTING.md.
test-live: $(STAMP)
	@$(BIN)/pytest tests/live -m live -rs

# The long forms of the tests under load and under fire: about half an hour, and 6 GB of disk.
endurance: $(STAMP)
	@DELIVERIES=10000 SETS=1000 SERVED=100 DESTINATIONS=50 ROUNDS=5 LARGE_BYTES=5368709120 \
	  KILLS=200 POWER_CUTS=50 $(BIN)/pytest -q -s tests/endurance tests/store/test_crash.py \
	  tests/store/test_power_cut.py tests/samples/test_kill.py

lint: $(STAMP)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy --strict app tests

format: $(STAMP)
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

bench: $(STAMP)
	@$(BIN)/python bench/run.py

# Never var/: it may hold somebody's destinations and the key to their secrets.
clean:
	rm -rf .venv build dist .coverage .coverage.* .hypothesis .mypy_cache .pytest_cache .ruff_cache
	rm -rf app/*.egg-info
	find app tests -name __pycache__ -type d -prune -exec rm -rf {} +

# One call of pip, so that it sees aiobotocore and moto together: both want a botocore of their own.
$(STAMP): setup.cfg pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "consignee needs Python 3.11 or newer, and $(PYTHON) is not: make PYTHON=python3.11 ..." >&2; exit 1; }
	@echo "setting up .venv, once" >&2
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch $@

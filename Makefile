# Each target sets up .venv by itself, once for each state of setup.cfg and pyproject.toml.
PYTHON ?= python3
BIN := .venv/bin
WORKERS ?= 2
STAMP := .venv/installed
BROWSER_STAMP := .venv/browser-installed
BENCH_BIN := .venv/bench/bin
BENCH_STAMP := .venv/bench/installed

.PHONY: demo demo-once serve test test-again coverage test-live test-browser test-postgres screenshots test-pythons endurance endurance-postgres fuzz lint openapi format audit bench bench-quick bench-scale clean

demo: $(STAMP)
	@PYTHONPATH=tests $(BIN)/consignee demo

demo-once: $(STAMP)
	@PYTHONPATH=tests $(BIN)/consignee demo --once

serve: $(STAMP)
	@$(BIN)/consignee serve --config config/development.toml --console

# A killed process may leave a part behind that would spoil the next report. The tests of one file stay in one process.
# COVER= measures no coverage, which takes a quarter of the time; LEAVE is what of the tests to leave out.
COVER ?= --cov --cov-report=
LEAVE ?=
test: $(STAMP)
	@rm -f .coverage .coverage.*
	@$(BIN)/pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder $(or $(COVER),--no-cov) $(LEAVE:%=--ignore=%)
	@test -z "$(COVER)" || \
	  echo "covered, lines and branches: $$($(BIN)/coverage report --format=total) % (make coverage tells what is not)"

# The tests that failed last time, one after the other.
test-again: $(STAMP)
	@$(BIN)/pytest --no-cov --last-failed --last-failed-no-failures=none

coverage: $(STAMP)
	@$(BIN)/coverage report

# The wheel in clean environments of other Pythons, with each extra alone; TESTS= leaves out the tests, which take longest,
# and BESIDE='marshmallow<4' runs them beside that.
PYTHONS ?= python3.11 python3.12 python3.13
TESTS ?= tests/web tests/store tests/providers
test-pythons: $(STAMP)
	@$(BIN)/python packaging/pythons.py $(PYTHONS) --tests $(TESTS) --beside $(if $(BESIDE),'$(BESIDE)')

# The console in Debian's Chromium, which root gets by apt.
test-browser: $(BROWSER_STAMP)
	@tests/browser/chromium
	@$(BIN)/pytest --no-cov -o cache_dir=.pytest_cache/browser -m browser -n $(WORKERS) --dist loadfile $(AGAIN) tests/browser

# On a PostgreSQL server of the tests' own, which runs as nobody; root gets its programs by apt.
test-postgres: $(STAMP)
	@tests/postgres/programs
	@$(BIN)/pytest --no-cov -o cache_dir=.pytest_cache/postgres -m postgres -n $(WORKERS) --dist loadfile --no-loadscope-reorder $(AGAIN) tests/postgres

# Every screen, light, dark and narrow, into SCREENSHOTS; those that the documentation shows into docs/images.
SCREENSHOTS ?= build/screenshots
screenshots: $(BROWSER_STAMP)
	@tests/browser/chromium
	@SCREENSHOTS=$(SCREENSHOTS) PICTURES=docs/images $(BIN)/pytest --no-cov -p no:cacheprovider -q -m browser tests/browser/test_pictures.py

# The vendors' own services, for every type whose credentials are in the environment: see CONTRIBUTING.md.
test-live: $(STAMP)
	@$(BIN)/pytest tests/live -m live -rs

# The long forms of the tests under load and under fire: about half an hour, and 6 GB of disk.
endurance: $(STAMP)
	@DELIVERIES=10000 SETS=1000 SERVED=100 DESTINATIONS=50 ROUNDS=5 LARGE_BYTES=5368709120 \
	  ROTATION_SECONDS=60 ROTATION_KILLS=25 TAMPERINGS=100000 SEALED_EACH=60 \
	  BACKUPS=10 BACKUP_BYTES=1073741824 RESTORE_STRIDE=1 COPY_STRIDE=1 \
	  HALF_OPEN=1000 HEADER_SECONDS=15 OVERLOAD_SECONDS=10 OVERLOADS=3 LEAST_SHARE=0.8 STOP_LINES=100 STOP_ROUNDS=5 \
	  KILLS=200 STORE_KILLS=1000 POWER_CUTS=500 XFS_CUTS=200 FAULTS=all NETWORK_FAULTS=all FLIPS=1000 STEPS=10000 FUZZ_REQUESTS=100000 $(BIN)/pytest -q -s tests/endurance tests/store/test_crash.py \
	  tests/store/test_power_cut.py tests/samples/test_kill.py tests/test_sealed_records.py tests/test_rotation_kills.py \
	  tests/commands/test_backup.py tests/backups/test_restoring.py tests/copying \
	  tests/store/test_faulty_disk.py tests/delivery/test_disk_faults.py tests/delivery/test_damaged_files.py \
	  tests/store/test_model.py tests/queues/test_model_on_files.py tests/delivery/test_model.py \
	  tests/providers/test_network_faults.py

# Seven processes of which one is killed every two seconds, and ten primaries that are lost for good: ten minutes, and 2 GB.
endurance-postgres: $(STAMP)
	@tests/postgres/programs
	@DELIVERIES=$${DELIVERIES:-10000} PAUSED_DELIVERIES=$${PAUSED_DELIVERIES:-1000} FAILOVERS=$${FAILOVERS:-10} FSYNC=on $(BIN)/pytest --no-cov -p no:cacheprovider -q -s -m postgres tests/postgres/endurance

# Five minutes of requests that nobody meant. It shares nothing with a `make test` that runs beside it.
fuzz: $(STAMP)
	@FUZZ_SECONDS=$${FUZZ_SECONDS:-300} $(BIN)/pytest --no-cov -p no:cacheprovider -q -s tests/fuzz

lint: $(BROWSER_STAMP)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy --strict app tests

# What /openapi.json answers in a clone; a wheel gets its own when it is built.
openapi: $(STAMP)
	@$(BIN)/python -m consignee.web.openapi

format: $(STAMP)
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

# Known holes in what is installed; ends with status 2 where no advisory service can be reached.
audit: $(STAMP)
	@test -x .venv/audit/bin/pip-audit || { $(PYTHON) -m venv .venv/audit && \
	  .venv/audit/bin/python -m pip install --quiet --disable-pip-version-check pip-audit; }
	@$(BIN)/python tests/audit.py .venv/audit/bin/pip-audit

# Beside peers, which are installed into an environment of their own: half an hour, and five minutes.
bench: $(BENCH_STAMP)
	@bench/programs
	@PATH="$$PATH:/usr/sbin" $(BENCH_BIN)/python bench/run.py --results bench/RESULTS.md

bench-quick: $(BENCH_STAMP)
	@bench/programs
	@PATH="$$PATH:/usr/sbin" $(BENCH_BIN)/python bench/run.py --quick

# One, two and four workers on PostgreSQL, the file store beside them, about ten minutes: bench/SCALE.md, and the tables of docs/scale.md.
bench-scale: $(BENCH_STAMP)
	@bench/programs
	@tests/postgres/programs
	@PATH="$$PATH:/usr/sbin" $(BENCH_BIN)/python bench/scale.py --results bench/SCALE.md --page docs/scale.md

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

$(BROWSER_STAMP): $(STAMP)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[browser]'
	@touch $@

$(BENCH_STAMP): $(STAMP)
	@echo "setting up .venv/bench, once" >&2
	@$(PYTHON) -m venv .venv/bench
	@$(BENCH_BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[bench]'
	@touch $@

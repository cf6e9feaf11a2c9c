# Every step of the continuous integration is a target here; `make` alone lists them.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules

VENV := .venv
# Not PYTHON, which chooses the interpreter that .venv is made with.
PY := $(VENV)/bin/python
COVERAGE := $(PY) -m coverage
MEASURED := build/coverage
# Processes that share the tests of a step; each has databases and services of its own.
PROCESSES ?= 2
PYTEST := -m pytest --numprocesses=$(PROCESSES) --dist=worksteal
# Measures this process and those that share its tests; the servers that they start do not count.
MEASURE := --cov --cov-report= --cov-fail-under=0
# Steps that need one core each; the output of each comes in one piece when it has ended.
SIDE_BY_SIDE := --no-print-directory --jobs=$(PROCESSES) --output-sync=target
# The tests that need nothing but Python.
UNIT := "not (postgres or redis or client or browser or wheel or compiled)"
UNIT_COMPILED := "not (postgres or redis or client or browser or wheel)"

# Stamps: made when a set-up step has ended well, and older than what calls for it anew.
RUNTIME := $(VENV)/.runtime
TOOLS := $(VENV)/.tools
SERVICES := $(VENV)/.services
LOCKER := $(VENV)/.locker
CLIENT_DEPENDENCIES := client-js/node_modules/.installed
CLIENT := client-js/dist/index.js
EDITOR := collab/editor/static/collab_editor/editor.js
COMPILED := build/compiled/.compiled
COMPILED_TESTS := tests/engine tests/protocol tests/hocuspocus tests/metrics tests/storage tests/collab/test_access.py \
	tests/collab/test_consumers.py tests/collab/test_sockets.py tests/collab/test_wire.py tests/test_compiled.py
EXAMPLE_DEPENDENCIES := example/node_modules/.installed
EXAMPLE := example/static/dist/editor.js
TEST_CLIENTS := tests/js/node_modules/.installed
TEST_EDITORS := tests/editors/node_modules/.installed

##@ Set-up (every other target does what it needs of it)

.PHONY: help
help: ## Show this list
	@awk -f scripts/help.awk Makefile

.PHONY: setup
setup: $(RUNTIME) $(TOOLS) ## Make .venv with the package (editable), its tests' and tools' needs
	@echo "$(VENV) has $$($(PY) --version)."

$(RUNTIME): pyproject.toml constraints.txt scripts/setup-python
	scripts/setup-python $(VENV)
	@touch $@

$(TOOLS): $(RUNTIME)
	scripts/setup-python $(VENV) test lint docs build
	@touch $@

$(LOCKER): $(TOOLS)
	scripts/setup-python $(VENV) lock
	@touch $@

.PHONY: services-setup
services-setup: $(SERVICES) ## Install PostgreSQL, Redis and Chromium where they are missing

$(SERVICES): $(RUNTIME) scripts/setup-services
	scripts/setup-services
	@touch $@

.PHONY: node-setup
node-setup: $(CLIENT) $(EDITOR) $(EXAMPLE) $(TEST_CLIENTS) $(TEST_EDITORS) ## Install the JavaScript packages and build the client, the editor and the example

%/node_modules/.installed: %/package-lock.json scripts/setup-node
	scripts/setup-node $*
	@touch $@

$(CLIENT): $(CLIENT_DEPENDENCIES) client-js/tsconfig.json $(shell find client-js/src -type f)
	cd client-js && npm run --silent build
	@touch $@

# Its sizes are checked; see client-js/vite.config.ts.
$(EDITOR): $(CLIENT_DEPENDENCIES) $(wildcard client-js/*.ts client-js/scripts/*) $(shell find client-js/src -type f)
	cd client-js && npm run --silent build:editor
	@touch $@

$(EXAMPLE_DEPENDENCIES) $(TEST_CLIENTS): $(CLIENT)

$(EXAMPLE): $(EXAMPLE_DEPENDENCIES) $(wildcard example/*.ts) $(shell find example/frontend -type f)
	cd example && npm run --silent build
	@touch $@

##@ The example

.PHONY: run
run: $(RUNTIME) $(EDITOR) $(EXAMPLE) ## Serve the example project and print its address
	@cd example && exec ../$(PY) serve.py

##@ Checks

.PHONY: test
test: setup services-setup node-setup ## Run all of the checks below
	@$(MAKE) $(SIDE_BY_SIDE) lint imports types docs test-wheel
	@$(MAKE) --no-print-directory coverage
	@$(MAKE) $(SIDE_BY_SIDE) test-client test-browser
	@echo "All checks passed: lint, imports, types, docs, unit, postgres, coverage, client, browser, wheel."

.PHONY: lint
lint: $(TOOLS) ## Check style and formatting
	$(PY) -m ruff check
	$(PY) -m ruff format --check

.PHONY: imports
imports: $(TOOLS) ## Check that imports point down the layers
	$(VENV)/bin/lint-imports

.PHONY: types
types: $(TOOLS) $(CLIENT) $(EXAMPLE_DEPENDENCIES) ## Check the types of Python and TypeScript
	$(PY) -m mypy
	cd client-js && npm run --silent lint
	cd example && ../$(PY) -m mypy
	cd example && ../$(PY) manage.py makefrontend --check
	cd example && npm exec tsc

.PHONY: docs
docs: $(TOOLS) ## Build the documentation's site in build/docs/html; its warnings are errors
	$(PY) -m sphinx --quiet --fail-on-warning --keep-going --fresh-env -b html docs build/docs/html
	@echo "The documentation: file://$(CURDIR)/build/docs/html/index.html"

.PHONY: test-unit
test-unit: $(TOOLS) ## Run the Python tests that need nothing but Python
	@mkdir -p $(MEASURED)
	COVERAGE_FILE=$(MEASURED)/unit $(PY) $(PYTEST) $(MEASURE) -m $(UNIT)

.PHONY: test-postgres
test-postgres: $(TOOLS) $(SERVICES) ## Run the tests against real PostgreSQL and Redis, started for them alone
	@mkdir -p $(MEASURED)
	COVERAGE_FILE=$(MEASURED)/postgres $(PY) $(PYTEST) $(MEASURE) -m "(postgres or redis) and not (client or browser)"

.PHONY: coverage
coverage: test-unit test-postgres ## Check that both of the above together ran every line and branch
	$(COVERAGE) combine --keep --quiet --data-file=$(MEASURED)/all $(MEASURED)/unit $(MEASURED)/postgres
	$(COVERAGE) report --data-file=$(MEASURED)/all

.PHONY: test-client
test-client: $(TOOLS) $(CLIENT) $(TEST_CLIENTS) $(TEST_EDITORS) ## Run JavaScript clients against a real server
	$(PY) -m pytest -m client

.PHONY: test-browser
test-browser: $(TOOLS) $(SERVICES) $(EDITOR) $(EXAMPLE) $(TEST_EDITORS) ## Run the example in Chromium
	$(PY) -m pytest -m browser

SLOWDOWN ?= 6
LAG ?= 50

.PHONY: test-browser-slow
test-browser-slow: export COLLAB_TEST_SLOWDOWN := $(SLOWDOWN)
test-browser-slow: export COLLAB_TEST_LAG := $(LAG)
test-browser-slow: test-browser ## Run the same with a slow processor and network; SLOWDOWN=6, LAG=50 ms

.PHONY: test-wheel
test-wheel: $(TOOLS) $(EDITOR) ## Build the wheel and try it away from the sources
	$(PY) -m pytest -m wheel

##@ Versions

.PHONY: lock
lock: $(LOCKER) ## Pin the newest releases within the bounds: constraints.txt, package-lock.json
	scripts/lock $(VENV)

.PHONY: test-newest test-oldest
test-newest: RESOLUTION := highest ## Run test-unit's tests with the newest releases within the bounds
test-oldest: RESOLUTION := lowest-direct ## Run test-unit's tests with the lower bounds themselves
test-newest test-oldest: $(LOCKER)
	scripts/setup-versions $(VENV) build/$@ $(RESOLUTION)
	build/$@/bin/python $(PYTEST) -p no:cacheprovider -m $(UNIT)

##@ More

.PHONY: format
format: $(TOOLS) ## Format the Python code
	$(PY) -m ruff check --fix
	$(PY) -m ruff format

SOAK_SECONDS ?= 180
SOAK_CLIENTS ?= 50
SOAK_ROOMS ?= 20
SOAK_SEED ?= 0

.PHONY: soak
soak: export SOAK_SECONDS := $(SOAK_SECONDS)
soak: export SOAK_CLIENTS := $(SOAK_CLIENTS)
soak: export SOAK_ROOMS := $(SOAK_ROOMS)
soak: export SOAK_SEED := $(SOAK_SEED)
soak: $(TOOLS) $(SERVICES) ## Edit for minutes while everything fails; SOAK_SECONDS, _CLIENTS, _ROOMS, _SEED
	$(PY) -m pytest -q --capture=no tests/acceptance/test_soak.py

.PHONY: fuzz-yjs
fuzz-yjs: export FUZZ_SEEDS ?= 0:10000
fuzz-yjs: export FUZZ_SECONDS ?= 1800
fuzz-yjs: $(TOOLS) $(SERVICES) $(TEST_CLIENTS) ## Compare rooms, and two processes, with Yjs after random histories; FUZZ_SEEDS=from:to, _SECONDS
	$(PY) -m pytest -q -m client tests/engine/rooms/test_differential.py tests/acceptance/test_like_yjs.py

.PHONY: fuzz-rows
fuzz-rows: export FUZZ_EXAMPLES ?= 100
fuzz-rows: export FUZZ_STEPS ?= 40
fuzz-rows: $(TOOLS) $(SERVICES) ## Compare rows in documents with the ORM's answers, while servers restart; FUZZ_EXAMPLES, _STEPS
	$(PY) -m pytest -q tests/acceptance/test_rows_oracle.py

.PHONY: fuzz-history
fuzz-history: export FUZZ_KILLS ?= 100
fuzz-history: export FUZZ_SEED ?= 1
fuzz-history: $(TOOLS) $(SERVICES) ## Kill processes while they restore and thin out versions; FUZZ_KILLS of each, _SEED
	$(PY) -m pytest -q --capture=no tests/history/test_killing.py

.PHONY: fuzz-history-checker
fuzz-history-checker: export HISTORY_SECONDS ?= 300
fuzz-history-checker: $(TOOLS) $(SERVICES) ## Check what clients read while networks and servers fail; HISTORY_SECONDS, _SEED
	$(PY) -m pytest -q --capture=no tests/acceptance/test_histories.py

.PHONY: fuzz-changes
fuzz-changes: export COLLAB_TEST_KILLS ?= 200
fuzz-changes: export COLLAB_TEST_OUTAGE ?= 20
fuzz-changes: export COLLAB_TEST_SLOW ?= 30
fuzz-changes: $(TOOLS) $(SERVICES) ## Kill processes while they run changed(), on each database; COLLAB_TEST_KILLS
	$(PY) -m pytest -q --capture=no tests/acceptance/test_changes.py

.PHONY: fuzz-editors
fuzz-editors: export FUZZ_SEED ?= 1
fuzz-editors: export FUZZ_SECONDS ?= 600
fuzz-editors: export FUZZ_ACTIONS ?= 200
fuzz-editors: $(TOOLS) $(SERVICES) $(EDITOR) $(EXAMPLE) ## Let two browsers edit a page at random; FUZZ_SEED, _SECONDS, _ACTIONS of each seed
	$(PY) -m pytest -q --capture=no tests/acceptance/test_two_editors.py

.PHONY: compile
compile: $(COMPILED) ## Compile the modules of the hot path in a copy of the project, build/compiled

# The C compiler is needed here only.
$(COMPILED): $(TOOLS) hatch_build.py $(shell find collab storage tests bench -name '*.py' -not -path '*/node_modules/*')
	command -v cc >/dev/null || scripts/install-packages "a C compiler=gcc"
	test -f "$$($(PY) -c 'import sysconfig; print(sysconfig.get_path("include"))')/Python.h" || \
		scripts/install-packages "Python.h=python3-dev"
	scripts/setup-python $(VENV) compile
	$(PY) hatch_build.py build/compiled
	@touch $@

.PHONY: test-compiled
test-compiled: $(COMPILED) ## Run the tests of the hot path, compiled, and compare both ways
	cd build/compiled && ../../$(PY) $(PYTEST) -p no:cacheprovider -m $(UNIT_COMPILED) $(COMPILED_TESTS)

.PHONY: bench
bench: $(TOOLS) $(SERVICES) $(COMPILED) ## Measure warm servers beside others, for hours; ARGS="fanout" is a part
	$(PY) -m bench compare $(ARGS)

.PHONY: bench-quick
bench-quick: $(TOOLS) $(COMPILED) ## Measure a little of that, in some minutes
	$(PY) -m bench compare --quick $(ARGS)

.PHONY: clean
clean: ## Delete all that was made here, the example's data included
	rm -rf $(VENV) build dist .coverage .hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache \
		test-results client-js/dist collab/editor/static/collab_editor example/static/dist example/*.sqlite3*
	find . -name node_modules -prune -exec rm -rf {} +
	find . -name __pycache__ -prune -exec rm -rf {} +

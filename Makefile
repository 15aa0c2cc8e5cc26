# Every target is a line into a command of the project. `make` alone lists them.
PYTHON ?= python3
BIN := .venv/bin
ARGS ?=

# Where it is set, each of the hundreds of processes that tests start would compile the project anew: half a second of CPU each.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup demo up down status doctor test test-unit check lint format types imports generated generate fix bench audit fuzz faults soak mutants screenshots

help: ## Show this help
	@awk 'BEGIN {FS = ":.*## "; print "make TARGET [ARGS=...]\n"} /^[a-z-]+:.*## / {printf "  %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## Install everything into .venv, and Kafka's jars (needs python3 >= 3.11; nothing else)
	@command -v $(PYTHON) >/dev/null || { echo "setup: there is no $(PYTHON): install Python 3.11 or newer" >&2; exit 1; }
	@$(PYTHON) deploy/setup/install.py

demo: setup ## Start the stack, fill it with 60 days of shipments, check what is found against the truth
	@$(BIN)/lovla demo $(ARGS)

up: setup ## Start Kafka, ClickHouse and our services; wait until they serve
	@$(BIN)/lovla up $(ARGS)

# these two install nothing: where there is no .venv, nothing of ours can run
down: ## Stop what `up` started; data stays
	@test -x $(BIN)/lovla || { echo "down: nothing is installed here, so nothing runs"; exit 0; }; $(BIN)/lovla down $(ARGS)

status: ## Who runs, who died, on which ports
	@test -x $(BIN)/lovla || { echo "status: nothing is installed here, so nothing runs; make up starts it" >&2; exit 1; }; $(BIN)/lovla status $(ARGS)

doctor: setup ## Look for what could keep the stack from running
	@$(BIN)/lovla doctor $(ARGS)

test: setup ## Run all tests, on real servers, three files at a time: many wait (ARGS="-k name" for some)
	@$(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder --max-worker-restart 0 $(ARGS)

test-unit: setup ## Run the tests that need no servers
	@$(BIN)/python -m pytest -m "not stack" $(ARGS)

check: lint format types imports generated ## Lint, format, types, import rules, generated files (make -k check: all of them)

lint: setup
	@$(BIN)/ruff check .

format: setup
	@$(BIN)/ruff format --check .

types: setup
	@$(BIN)/mypy

imports: setup
	@$(BIN)/lint-imports

generated: setup
	@$(BIN)/python -m schemas.export --check && $(BIN)/python -m schemas.compatibility && $(BIN)/python -m services.openapi_export --check && $(BIN)/python -m services.ingest.readers.tables --check

generate: setup ## Write JSON Schema and AsyncAPI from the contracts, OpenAPI from the doors, code tables from the readers
	@$(BIN)/python -m schemas.export && $(BIN)/python -m services.openapi_export && $(BIN)/python -m services.ingest.readers.tables

fix: setup ## Let ruff mend what it can, and format
	@$(BIN)/ruff check --fix . && $(BIN)/ruff format .

bench: setup ## Measure everything and write docs/benchmarks.md, some 25 minutes (ARGS="--quick", "--list", "--only readers")
	@$(BIN)/python -m benchmarks $(ARGS)

audit: setup ## Is a package of the lock known to be vulnerable? Also writes build/sbom.cdx.json
	@$(BIN)/python -m deploy.setup.audit

fuzz: setup ## Hostile messages for every reader, 5 minutes each: damage, hypothesis, atheris (ARGS="--reader x12 --seconds 60")
	@$(BIN)/python -m tests.security.fuzz $(ARGS)

faults: setup ## Kill, freeze, starve and mislead every process under load, then look for harm; 55 minutes (ARGS="--only kills --kills 7")
	@$(BIN)/python -m tests.faults $(ARGS)

soak: setup ## The demo live for an hour with random kills, then `lovla audit` (ARGS="--minutes 5")
	@$(BIN)/python -m tests.faults soak $(ARGS)

mutants: setup ## Plant defects in the product; the simulation must find each (ARGS="--only name")
	@$(BIN)/python -m tests.simulation.mutants $(ARGS)

screenshots: setup ## Every page of the console as docs/screenshots/*.png, of the demo if one runs (needs chromium)
	@$(BIN)/python -m tests.browser.screenshots $(ARGS)

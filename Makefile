# Every task of the project; `make` alone lists them.
.DEFAULT_GOAL := help
.PHONY: help setup demo test test-all rest check bench property week year fortnight mutants faults docs looks packages node

PYTHON := .venv/bin/python
MINUTES ?= 60
# Many tests wait for processes and leases, so there are more workers than cores.
PYTEST ?= -n 4 --dist worksteal
ENVIRONMENT := .venv/installed

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(ENVIRONMENT) ## Make the virtual environment in .venv with the pinned dependencies

$(ENVIRONMENT): pyproject.toml constraints.txt .ci/venv
	@.ci/venv
	@touch $@

demo: setup ## Start the sample newsroom; DEMO=--once runs through it and stops
	@.venv/bin/mailer demo $(DEMO)

test: check ## Run the checks and the tests that run on any machine, in five minutes
	$(PYTHON) -m pytest $(PYTEST) --tier quick

test-all: check packages node ## Run everything, each command as a process; as root on Debian installs what is missing
	TYPED=process $(PYTHON) -m pytest $(PYTEST)

# What `make test` left out: CI runs the one and then the other.
rest: packages node
	TYPED=process $(PYTHON) -m pytest $(PYTEST) --tier rest

check: setup ## Run ruff, mypy and import-linter
	@.venv/bin/ruff check --quiet
	@.venv/bin/ruff format --check --quiet
	@.venv/bin/mypy
	@.venv/bin/lint-imports

bench: packages setup ## Measure speed and memory, side by side with a yardstick
	@for benchmark in benchmarks/*.py; do $(PYTHON) $$benchmark || exit 1; done

property: setup ## Draw new examples, and live random lives for MINUTES=60 against a model in plain Python
	$(PYTHON) -m pytest $(PYTEST) -m hypothesis --hypothesis-profile property --timeout 1200
	$(PYTHON) tools/long_life.py --minutes $(MINUTES)

week: setup ## Play a week of two newspapers by commands; WEEK='--engine sqlite --keep FOLDER'
	$(PYTHON) tools/week.py $(WEEK)

year: setup ## Play a year: moving in, erasures, a lost database, a restore, a move; YEAR='--readers 60'
	$(PYTHON) tools/year.py $(YEAR)

fortnight: packages setup ## Play a fortnight of digests that partly come back, as root; FORTNIGHT='--readers 500'
	$(PYTHON) tools/fortnight.py $(FORTNIGHT)

mutants: setup ## Break each promise by one line; its test has to notice
	$(PYTHON) tools/mutants.py

faults: packages setup ## Break everything at full size, and print the table of docs/reliability.md
	FAULTS=full $(PYTHON) -m pytest $(PYTEST) tests/faults

docs: setup ## Check that no setting, command or field is missing from the documentation
	$(PYTHON) -m pytest -q tests/unit/test_docs.py

looks: setup ## Judge mails with SpamAssassin and the W3C's checker too; on Debian as root
	@.ci/node
	@.ci/looks

packages:
	@.ci/packages

# Without them the tests list at their end what could not run.
node: setup
	@.ci/node || true

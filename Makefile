# `make run` and `make test` need a Python of 3.11 or later and nothing else.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEPENDENCIES := pyproject.toml constraints.txt
# A process a core, each with one thread. A file of tests runs in one process; those that take longest begin first.
PROCESSES := -n logical --maxprocesses 8 --dist loadfile --no-loadscope-reorder

.PHONY: run test stress lint docs cards commands benchmark clean

run: $(VENV)/.quickstart
	$(BIN)/antibody-train --multirun model=antiberty,sapiens_vh

# First what no Python package holds: a browser, mmseqs2 and the published data files. Tests of what cannot be had are
# skipped, and the last lines say so; in continuous integration they fail.
test: $(VENV)/.dev
	$(BIN)/python tests/needed.py
	$(BIN)/python -m pytest $(PROCESSES)

# The tests of `make test` at length, for an hour and more: 200 kills of writers and 700 of runs over old folders, 16,000
# sequences for eight writers, 600 kinds of damage; all examples of every property; more resamples and more data sets in
# the simulations of intervals; 10,000 mutants of every kind of file; a hundred short processes that end with their own
# status; 20,000 predictions, 1,000 requests of the page, and a day of writers by a simulated clock; a covering array of
# every three settings.
stress: $(VENV)/.dev
	$(BIN)/python tests/needed.py
	ANTIBODY_ESM_STRESS=1 $(BIN)/python -m pytest -o timeout=0 $(PROCESSES)

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: $(VENV)/.dev
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

# The pages of the public data sets, from their provenance; the tests see that they are up to date.
cards: $(VENV)/.dev
	$(BIN)/python -m antibody_esm.data.cards docs/data

# The reference of the commands, from the commands; the tests see that it is up to date.
commands: $(VENV)/.dev
	$(BIN)/python -m antibody_esm.cli.reference docs/commands.md

benchmark: $(VENV)/.dev
	$(BIN)/python -m pytest benchmarks -o python_files="benchmark_*.py" -o python_functions="benchmark_*" -o filterwarnings=default -s

clean:
	rm -rf $(VENV) build dist site

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

# torch first and alone: with it in place, no other package asks for another build of it.
$(VENV)/.quickstart: $(BIN)/python $(DEPENDENCIES)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt torch
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[quickstart]"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps sapiens==1.0.2  # for its weights alone
	touch $@

$(VENV)/.dev: $(VENV)/.quickstart
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[quickstart,cluster,explain,app,serve,tune,finetune,dev,docs]"
	touch $@

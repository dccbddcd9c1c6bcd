# `make run` needs a Python of 3.11 or later and nothing else; `make test` Chromium too (`apt-get install chromium`).

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEPENDENCIES := pyproject.toml constraints.txt

.PHONY: run test stress lint docs cards benchmark clean

run: $(VENV)/.quickstart
	$(BIN)/antibody-train

test: $(VENV)/.dev
	$(BIN)/python -m pytest

# What `make test` does in short, in full: 200 kills, 16,000 sequences for eight writers, 600 kinds of damage; more
# resamples and more data sets in the simulations of intervals; every three settings crossed, and not every two.
stress: $(VENV)/.dev
	ANTIBODY_ESM_STRESS=1 $(BIN)/python -m pytest tests/test_store_faults.py tests/test_intervals.py tests/test_paired.py \
		tests/test_covering_array.py

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: $(VENV)/.dev
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

# The pages of the public data sets, from their provenance; the tests see that they are up to date.
cards: $(VENV)/.dev
	$(BIN)/python -m antibody_esm.data.cards docs/data

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
	touch $@

$(VENV)/.dev: $(VENV)/.quickstart
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[quickstart,cluster,explain,app,dev,docs]"
	touch $@

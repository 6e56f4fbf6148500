# Two commands do all the set-up: `make run` and `make test`. Everything goes into .venv here.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

.PHONY: help run test lint types docs benchmarks clean

help:  ## say what there is
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/'

run: $(VENV)/run.stamp  ## evaluate every router on the embedded demo suite and print the table
	$(BIN)/routereval run demo --results demo.sqlite

test: $(VENV)/dev.stamp  ## run the tests
	$(BIN)/python -m pytest

lint: $(VENV)/dev.stamp  ## check style
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/dev.stamp  ## check types
	$(BIN)/mypy

docs: $(VENV)/dev.stamp  ## build the documentation into site/
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

benchmarks: $(VENV)/dev.stamp  ## measure speed and memory
	$(BIN)/python benchmarks/largest.py

clean:  ## remove the virtual environment and everything made
	rm -rf $(VENV) site demo.sqlite demo.sqlite-wal demo.sqlite-shm

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/run.stamp: $(BIN)/python pyproject.toml
	@echo "installing into $(VENV) ..."
	$(PIP) install --editable .
	@touch $@

$(VENV)/dev.stamp: $(VENV)/run.stamp
	@echo "installing the development tools into $(VENV) ..."
	$(PIP) install --editable '.[dev,docs]'
	@touch $@

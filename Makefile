# Two commands do all the set-up: `make run` and `make test`. Everything goes into .venv here.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
# The version that is tested with; any from 2.4 on will do.
TORCH := 2.13.0

.PHONY: help run test browser neural lint types docs benchmarks clean

help:  ## say what there is
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/'

run: $(VENV)/run.stamp  ## evaluate every router on the embedded demo suite and print the table
	$(BIN)/routereval run demo --results demo.sqlite

test: $(VENV)/dev.stamp  ## run the tests
	$(BIN)/python -m pytest -n 2 --dist loadfile

browser:  ## install Chromium where that is possible; without it the tests of the report's pages are skipped
	@command -v chromium >/dev/null || command -v google-chrome >/dev/null || { \
	  command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ] && echo "installing chromium ..." && \
	  { apt-get -qq update; DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends chromium; } \
	  >/dev/null 2>&1; } || echo "no Chromium here: the tests of the report's pages are skipped"

neural: $(VENV)/neural.stamp  ## install the extra neural (PyTorch, transformers); the tests then test it too

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

$(VENV)/neural.stamp: $(VENV)/dev.stamp
	@echo "installing PyTorch and the extra neural into $(VENV) ..."
	$(PIP) install torch==$(TORCH)
	$(PIP) install --editable '.[neural]'
	@touch $@

# Everything from a clean clone: `make demo` shows it work, `make test` proves it.
PYTHON ?= $(shell command -v python3.11 || command -v python3.12 || echo python3)
VENV := .venv
RUN := $(VENV)/bin/python
# A file's tests share a process. Files with slow tests come first (tests/conftest.py),
# so that no process works on alone at the end.
SIDE_BY_SIDE := --numprocesses auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder

.DEFAULT_GOAL := help
.PHONY: help install demo test test-fast cluster-test lint format clean

help:  ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

install: $(VENV)/.installed  ## the virtual environment with all that is needed

$(VENV)/.installed: setup.py infra/constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] not in ((3, 11), (3, 12)))' \
	    || { echo "clipmill needs Python 3.11 or 3.12; set PYTHON=..." >&2; exit 1; }
	@echo "installing into $(VENV) (a minute or two) ..." >&2
	@$(PYTHON) -m venv $(VENV)
	@$(RUN) -m pip install --quiet --disable-pip-version-check \
	    --constraint infra/constraints.txt --editable '.[test]'
	@touch $@

demo: install  ## synthesize clips, build, verify, train and evaluate with and without shift
	@$(RUN) infra/demo.py --workdir demo

lint: install  ## formatting, lint and types
	@$(VENV)/bin/ruff format --check --quiet .
	@$(VENV)/bin/ruff check --quiet .
	@$(VENV)/bin/mypy

test: lint  ## lint, types and every test
	@$(RUN) -m pytest $(SIDE_BY_SIDE)

test-fast: install  ## the tests that take seconds
	@$(RUN) -m pytest -m "not slow"

cluster-test: install  ## the jobs on Flink, Dask and Prism here (Java 17, Maven; Go)
	@$(RUN) -m pip install --quiet --disable-pip-version-check \
	    --constraint infra/constraints.txt --editable '.[test,dask]'
	@$(RUN) -m pytest $(SIDE_BY_SIDE) tests/cluster

format: install  ## format and mend what can be mended
	@$(VENV)/bin/ruff format .
	@$(VENV)/bin/ruff check --fix .

clean:  ## remove the virtual environment, the cluster's jars and the demo's files
	rm -rf $(VENV) .cluster demo *.egg-info

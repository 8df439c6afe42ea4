# Everything runs in .venv, made here from nothing but Python >= 3.11 and a package registry.
PYTHON ?= python3
MODELS ?= ../shared/models
VENV := .venv
BIN := $(VENV)/bin
# Two workers: the suite is laid out for two cores. WORKERS=auto uses all.
WORKERS ?= 2
PYTEST := $(BIN)/python -m pytest

.DEFAULT_GOAL := help
.PHONY: help demo test check bench accept figures golden docs clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(VENV)/.installed-demo ## Train, quantize, compile and run a digit classifier on two emulated boards
	$(BIN)/mw demo

test: $(VENV)/.installed-dev ## Run every test (under 15 minutes on 2 cores)
	$(PYTEST) -n $(WORKERS)

check: $(VENV)/.installed-dev ## Lint, types, import layers, docstrings and the fast tests (under 90 s)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/interrogate src
	$(PYTEST) -n $(WORKERS) -m "not slow"

bench: $(VENV)/.installed-dev ## Measure the models on every board; one CSV, one plot; fail on a regression
	$(BIN)/python -m bench.models --models $(MODELS)

accept: $(VENV)/.installed-dev ## Make the figures of the last `make bench` those it compares with
	$(BIN)/python -m bench.models --accept

figures: $(VENV)/.installed-dev ## Measure the other results that README.md shows: ladder, conformance, speed
	$(BIN)/python -m bench.ladder --models $(MODELS)
	$(BIN)/python -m bench.conformance --models $(MODELS)
	$(BIN)/python -m bench.speed --models $(MODELS)
	$(BIN)/python -m bench.transcript --models $(MODELS)

golden: $(VENV)/.installed-dev ## Rewrite the golden texts in tests/golden from the present code
	$(BIN)/python tests/golden/golden.py

docs: $(VENV)/.installed-dev ## Rewrite docs/ops.md and the figures of README.md
	$(BIN)/python tools/gen_ops.py
	$(BIN)/python tools/gen_readme.py

clean: ## Remove what make, tests and tools left behind
	rm -rf $(VENV) build dist demo .pytest_cache .mypy_cache .ruff_cache .hypothesis
	rm -rf .import_linter_cache src/*.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The stamps are newer than what decides the packages; touching neither file installs nothing again.
$(VENV)/.python:
	@$(PYTHON) -c 'import sys; v = "%d.%d" % sys.version_info[:2]; \
	  sys.exit(0 if sys.version_info >= (3, 11) else "Python 3.11 or newer wanted, " + v + " found; make PYTHON=...")'
	$(PYTHON) -m venv $(VENV)
	touch $@

$(VENV)/.installed-demo: $(VENV)/.python pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[all]'
	touch $@

$(VENV)/.installed-dev: $(VENV)/.python pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@ $(VENV)/.installed-demo

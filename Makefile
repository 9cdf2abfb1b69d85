# Every target does its own set-up in .venv, from a bare Python 3.11 or newer: no Node, no compiler, no key.
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
SHELL := /bin/sh

PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/installed
SIDEBAR := $(shell find extension -type d \( -name node_modules -o -name lib -o -name __pycache__ \) -prune -o -type f ! -name '*.tsbuildinfo' -print)
TUTORIALS := $(wildcard notebooks/*.ipynb)
# A notebook is a test, cell by cell: what it stores is what it must print again.
NBVAL := $(if $(TUTORIALS),--nbval --nbval-current-env $(addprefix --nbval-sanitize-with ,$(wildcard notebooks/nbval_sanitize.cfg)) $(TUTORIALS))
BENCHES := $(filter-out provider,$(notdir $(basename $(shell grep -ls __main__ bench/*.py))))
# pytest's own arguments, for example: make test ARGS="-k sidebar -n 0"
ARGS ?=

.PHONY: help install demo lab test check format bench clean system

help: ## list these commands
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | while IFS="$$(printf '\t')" read -r name text; do \
		printf '  make %-9s %s\n' "$$name" "$$text"; done

install: $(STAMP) ## make .venv with agentnb, its sidebar, and all that the others need
	@echo "· .venv is ready"

$(STAMP): pyproject.toml $(SIDEBAR)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo "agentnb needs Python 3.11 or newer; '$(PYTHON)' is $$($(PYTHON) -V 2>&1). Try: make PYTHON=python3.12 $(or $(MAKECMDGOALS),install)" >&2; exit 1; }
	@test -x $(BIN)/python || { echo "· making .venv with $$($(PYTHON) -V)"; $(PYTHON) -m venv .venv; }
	@echo "· installing agentnb and its sidebar into .venv (a few minutes the first time)"
	@start=$$(date +%s); $(BIN)/python -m pip install -qq --disable-pip-version-check --no-input --editable '.[dev]' \
		&& echo "· installed in $$(($$(date +%s) - start)) s"
	@touch $@

demo: $(STAMP) ## one agent, one real model, one notebook function: run it and read it
	@$(BIN)/agentnb run notebooks/01_first_agent.ipynb --model local:qwen2.5-coder-0.5b \
		--fallback replay:notebooks/cassettes/01_first_agent.json --output build/demo

lab: $(STAMP) ## JupyterLab on the tutorials, with the sidebar
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/jupyter lab $(if $(filter 0,$(shell id -u)),--allow-root) --notebook-dir=notebooks

test: $(STAMP) system ## all tests: units, real kernels, a real browser, the tutorials
	@$(BIN)/python -m pytest -n auto tests $(NBVAL) $(ARGS)

system:
	@.ci/system

check: $(STAMP) ## format, lint, types, generated files, architecture; quick
	@failed=; step() { name=$$1; shift; if "$$@"; then echo "· $$name"; else echo "✗ $$name"; failed=1; fi; }; \
	step format $(BIN)/ruff format --check --quiet .; \
	step lint $(BIN)/ruff check --quiet .; \
	step types $(BIN)/mypy --no-error-summary; \
	step "generated files" $(BIN)/python extension/protocol.py --check; \
	step "tables in docs" $(BIN)/python -m docs.tables --check; \
	step architecture $(BIN)/python -m pytest -q --no-header tests/test_architecture.py; \
	test -z "$$failed"

format: $(STAMP) ## put the code in its form
	@$(BIN)/ruff check --quiet --fix . ; $(BIN)/ruff format --quiet .

bench: $(STAMP) ## figures beside their floors
	@for bench in $(BENCHES); do echo "· bench.$$bench"; $(BIN)/python -m bench.$$bench || failed=1; done; test -z "$$failed"

clean: ## remove what was built here, .venv included
	rm -rf .venv build dist agentnb/labextension extension/node_modules extension/lib extension/tsconfig.tsbuildinfo
	rm -rf .mypy_cache .pytest_cache .ruff_cache

# Two commands do everything from a bare Python 3.11 or newer: `make verify` and
# `make test`. Choose an interpreter with `make PYTHON=/path/to/python3 ...`.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help verify test test-slow lint clean

# The user's environment: the checkout, editable. The tests' environment: the wheel.
VENV := .venv
TEST_VENV := .venv-test
PIP_INSTALL := -m pip install --quiet --disable-pip-version-check -c constraints.txt
ARGS ?=
WORKERS ?= 2
# The tests of a file share fixtures and programs, so they run in one process.
SPREAD := -n $(WORKERS) --dist loadfile --no-loadscope-reorder

# The first interpreter that runs and is new enough. Running it matters: a version
# manager may leave commands on the path that only print an error.
NEW_ENOUGH := import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))
define find_python
for python in $(or $(PYTHON),python3.14 python3.13 python3.12 python3.11 python3); do \
  if "$$python" -c "$(NEW_ENOUGH)" >/dev/null 2>&1; then break; fi; python=; \
done; \
if [ -z "$$python" ]; then \
  echo "no working Python >= 3.11 with venv found (tried: $(or $(PYTHON),python3.14 .. python3.11, python3));" \
    "name one: make PYTHON=/path/to/python3 ..." >&2; exit 1; \
fi
endef

help: ## show this text
	@echo "usage: make [PYTHON=python3.x] TARGET [ARGS='...']"
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | while IFS=$$'\t' read -r name text; \
	  do printf '  %-10s %s\n' "$$name" "$$text"; done

verify: $(VENV)/.installed ## check the published claims (ARGS go to jidcl verify)
	@$(VENV)/bin/jidcl verify $(ARGS)

# A re-run rebuilds and reinstalls the wheel alone (seconds); the dependencies stay.
# The tests run from another folder, so they can only import the installed wheel.
test: lint ## lint, build the wheel, test what it installs (ARGS go to pytest)
	@echo "building and installing the wheel ..."
	@rm -rf dist
	@$(TEST_VENV)/bin/python -m build --no-isolation --wheel --outdir dist . >/dev/null
	@$(TEST_VENV)/bin/python $(PIP_INSTALL) --no-deps --force-reinstall dist/*.whl
	@echo "running the doctests and the tests ..."
	@cd $(TEST_VENV) && bin/pytest $(SPREAD) \
	  --doctest-modules --doctest-ignore-import-errors --pyargs jidcl "$(CURDIR)/tests" $(ARGS)

# On the checkout: the mutations change a copy of it.
test-slow: $(TEST_VENV)/.installed ## the longer checks: mutations, long tests
	@$(TEST_VENV)/bin/python tests/mutations.py
	@PYTHONPATH="$(CURDIR)" $(TEST_VENV)/bin/pytest $(SPREAD) -m long tests $(ARGS)

lint: $(TEST_VENV)/.installed ## ruff check, ruff format --check and pyright
	@echo "linting ..."
	@$(TEST_VENV)/bin/ruff check .
	@$(TEST_VENV)/bin/ruff format --check .
	@$(TEST_VENV)/bin/pyright --pythonpath $(TEST_VENV)/bin/python

clean: ## remove environments, builds and caches (runs/ stays)
	rm -rf $(VENV) $(TEST_VENV) dist build .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Reinstalled only when the dependencies may have changed.
$(VENV)/.installed: pyproject.toml constraints.txt
	@$(find_python); echo "setting up $(VENV) with $$("$$python" --version) ..."; \
	  "$$python" -m venv --clear $(VENV)
	@$(VENV)/bin/python $(PIP_INSTALL) --editable '.[cli,plots]'
	@touch $@

$(TEST_VENV)/.installed: pyproject.toml constraints.txt
	@$(find_python); echo "setting up $(TEST_VENV) with $$("$$python" --version) ..."; \
	  "$$python" -m venv --clear $(TEST_VENV)
	@$(TEST_VENV)/bin/python $(PIP_INSTALL) '.[dev]'
	@touch $@

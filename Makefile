# Everything a newcomer or a machine needs: make help

PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin
STAMP := $(VENV)/.set-up

# What make test runs, in this order, and how. Override to narrow it down, for example:
#   make test TESTS=tests/linux PYTEST_ARGS="-x -k accept"
TESTS ?= $(wildcard tests/unit tests/docs tests/third_party tests/linux)
# Files stay together on one worker because their tests share a simulated instance. They come in
# this order, and not by the number of their tests, so that none that takes long comes last.
PYTEST_ARGS ?= -q -n auto --maxprocesses 8 --dist loadfile --no-loadscope-reorder

# How long each fuzz target runs.
FUZZ_SECONDS ?= 60

.DEFAULT_GOAL := help
.PHONY: help setup demo test check bench fuzz programs thorough corpus

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "make %-9s  %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP) ## Create .venv, install nitrosim into it, build the launcher
	@echo "setup: done; to use it: . $(RUN)/activate"

demo: $(STAMP) ## Run the main job: an enclave attests itself, the verifier accepts it
	@$(RUN)/nitrosim demo

test: $(STAMP) ## Run the tests; what the machine lacks is skipped with a reason
	@$(RUN)/python -m pytest $(PYTEST_ARGS) $(TESTS)

check: $(STAMP) ## Check style and types
	@$(RUN)/ruff check --quiet .
	@$(RUN)/ruff format --check --quiet .
	@$(RUN)/mypy

bench: $(STAMP) ## Measure speed, as ratios to what the machine can do
	@$(RUN)/python tests/benchmarks/run.py

programs: $(STAMP) ## Build what other people wrote and takes minutes to build, once; make test then uses it
	@NITROSIM_BUILD=1 $(RUN)/python -m pytest -q -o faulthandler_timeout=0 tests/third_party/test_programs.py

fuzz: $(STAMP) ## Feed the readers what a coverage-guided fuzzer makes up, FUZZ_SECONDS for each target
	-@$(RUN)/python -m pip install --quiet --disable-pip-version-check --group fuzz
	@$(RUN)/python tests/fuzz/run.py --seconds $(FUZZ_SECONDS)

thorough: $(STAMP) ## Try all that make test tries a part of: more examples, every document with every verifier
	@NITROSIM_THOROUGH=1 $(RUN)/python -m pytest $(PYTEST_ARGS) $$(grep -rl thoroughness tests --include='test_*.py')

corpus: $(STAMP) ## Make the attestation documents in fixtures/attestation again
	@PYTHONPATH=tests/corpus $(RUN)/python -m forgery fixtures/attestation

# An interpreter that is missing, too old or stripped gets one message here instead of a traceback
# later. A virtual environment whose own interpreter has gone away is made anew.
$(STAMP): pyproject.toml hatch_build.py nitrosim/sandbox/compile.py $(wildcard nitrosim/sandbox/native/*)
	@command -v "$(PYTHON)" >/dev/null || { \
		echo "setup: no $(PYTHON) on PATH. Install Python 3.11 or newer: apt-get install python3 python3-venv" >&2; \
		exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "setup: Python 3.11 or newer is needed, $(PYTHON) is $$("$(PYTHON)" --version 2>&1 | head -n 1)." \
			"Name another one: make setup PYTHON=python3.12" >&2; \
		exit 1; }
	@"$(PYTHON)" -c 'import venv, ensurepip' 2>/dev/null || { \
		echo "setup: $(PYTHON) cannot make virtual environments. On Debian and Ubuntu:" \
			"apt-get install python3-venv" >&2; \
		exit 1; }
	@$(RUN)/python -c 'import pip' 2>/dev/null || { \
		echo "setup: creating $(VENV)"; \
		"$(PYTHON)" -m venv --clear $(VENV); }
	@echo "setup: installing nitrosim and its tools into $(VENV)"
	@$(RUN)/python -m pip install --quiet --disable-pip-version-check 'pip>=25.1'
	@$(RUN)/python -m pip install --quiet --disable-pip-version-check --editable . --group dev
	@test -x nitrosim/sandbox/launcher || \
		echo "setup: the launcher was not built; 'nitrosim doctor' says what is missing" >&2
	@touch $@

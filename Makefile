# Everything a newcomer or a maintainer does with this checkout. `make help` lists it.

VENV   := .venv
BIN    := $(VENV)/bin
LOCK   := .ci/locks/dev.txt
CODE   := schemas render agent tests docs .ci $(wildcard examples)

# The Python that makes the environment: yours (make PYTHON=/path/to/python), or the first of these that works and is new
# enough; the last resort is python3, which then gets told what it lacks.
PYTHON ?= $(shell for python in python3.11 python3.12 python3.13 python3; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && exit; done; echo python3)

.DEFAULT_GOAL := help
.PHONY: help venv demo test lint format types imports golden bench soak fuzz schemas docs lock clean
.DELETE_ON_ERROR:

help: ## List these targets
	@awk 'BEGIN { FS = ":.*## " } /^[a-z]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(VENV)/.installed ## Show the whole life of a model on this machine (KEEP=1 leaves it running)
	@$(BIN)/fresco-agent demo $(if $(KEEP),--keep)

test: $(VENV)/.installed ## Run the tests (ARGS='-k name' for some of them)
	$(BIN)/python -m pytest $(ARGS)

lint: $(VENV)/.installed ## Look for mistakes and for formatting that differs
	$(BIN)/ruff check $(CODE); found=$$?; $(BIN)/ruff format --check $(CODE) && exit $$found

format: $(VENV)/.installed ## Mend what lint can mend by itself
	$(BIN)/ruff check --fix $(CODE)
	$(BIN)/ruff format $(CODE)

types: $(VENV)/.installed ## Check the types, strictly
	$(BIN)/mypy

imports: $(VENV)/.installed ## Check who may import whom
	$(BIN)/lint-imports

golden: $(VENV)/.installed ## Write the expected output of the tests anew: read the diff before you commit it
	$(BIN)/python -m pytest --update-golden --quiet $(ARGS)

bench: $(VENV)/.installed ## Measure, as ratios to a peer in the same run
	$(BIN)/python -m tests.bench $(ARGS)

soak: $(VENV)/.installed ## Try to break the promises, at length (ARGS='--what rules --minutes 60 --seed 7')
	$(BIN)/python -m tests.soak $(ARGS)

fuzz: $(VENV)/.installed ## Feed fresco validate anything, at length (ARGS='--minutes 60 --seed 7')
	$(BIN)/python -m tests.fuzz $(ARGS)

schemas: $(VENV)/.installed ## Write the JSON Schemas from the types
	$(BIN)/python -m schemas.generate

docs: $(VENV)/.installed ## Write the parts of docs/ that the code knows
	$(BIN)/python -m docs.generate

lock: ## Bring the lock files in line with pyproject.toml (UPGRADE=1: to the newest versions)
	@$(MAKE) --no-print-directory $(VENV)/.locked
	$(BIN)/python .ci/lock.py $(if $(UPGRADE),--upgrade)

venv: $(VENV)/.installed ## Make the virtual environment (.venv); the other targets do it when it is needed

clean: ## Remove the virtual environment and everything the tools left
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	find $(CODE) -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.locked: $(LOCK) .ci/environment.py
	@command -v $(PYTHON) >/dev/null || { echo "Fresco needs Python 3.11 or newer; there is no '$(PYTHON)' here." >&2; exit 1; }
	@$(PYTHON) .ci/environment.py $(VENV) $(LOCK)
	@touch $@

$(VENV)/.installed: $(VENV)/.locked pyproject.toml
	@env -u PIP_USER -u PIP_TARGET -u PIP_PREFIX -u PYTHONPATH \
		$(BIN)/python -m pip --disable-pip-version-check install --quiet --no-index --no-deps --no-build-isolation --editable .
	@touch $@

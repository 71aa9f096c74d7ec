# burnish: `make demo` runs the main job, `make test` the tests; each sets up what is missing.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
PIP := $(BIN)/python -m pip --disable-pip-version-check
WORKERS ?= 2
export TOKENIZERS_PARALLELISM := false

.PHONY: help setup demo test torture check lint types layers format bench mutants docs families synthesize train train-debug clean

help: ## Show the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

setup: $(READY) ## Make the virtual environment: torch first, then the rest under constraints

$(READY): pyproject.toml constraints.txt
	@echo "setup 1/3: virtual environment in $(VENV)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "setup 2/3: torch (a large package; a minute or two)"
	@$(PIP) install -qq --constraint constraints.txt torch
	@echo "setup 3/3: burnish and what it needs (a minute or two)"
	@$(PIP) install -qq --constraint constraints.txt --editable '.[dev]'
	@touch $(READY)
	@echo "setup done: $$($(BIN)/burnish --version)"

demo: $(READY) ## The whole arc on the embedded model: data, adapter, evaluation, merge, answers
	$(BIN)/burnish demo

test: $(READY) ## All tests
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile -m "not torture and not gpu" --durations 15

torture: $(READY) ## The long fault tests: 500 kills, 200 bit flips
	$(BIN)/python -m pytest -m torture tests

check: lint types layers ## Lint, types and layers

lint: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(READY)
	$(BIN)/pyright

layers: $(READY)
	$(BIN)/lint-imports

format: $(READY) ## Format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(READY) ## Measure side by side, five minutes; docs/benchmarks.md holds our results
	$(BIN)/python benchmarks/startup.py
	$(BIN)/python benchmarks/rendering.py
	$(BIN)/python benchmarks/training.py

mutants: $(READY) ## Mutation testing: a seeded sample of small faults, and the score in docs/mutants.md (under 45 minutes)
	PYTHONPATH=tests $(BIN)/python -m mutation --write

docs: $(READY) ## Write the generated reference pages
	$(BIN)/python docs/generate.py

families: $(READY) ## Try every model family and write the table of docs/reference/families.md (a few minutes)
	$(BIN)/python tests/family_table.py

synthesize: $(READY) ## Make the demo's rows only
	$(BIN)/burnish run recipes/demo.yaml --only requests --only skills

train: $(READY) ## Train the demo's adapter only
	$(BIN)/burnish run recipes/demo.yaml --only tune

train-debug: $(READY) ## Train the demo's adapter for a few steps, with tracebacks
	$(BIN)/burnish --debug run recipes/demo.yaml --only tune --set tune.max_steps=5 --force tune

clean: ## Remove runs and caches, not the virtual environment
	rm -rf runs .burnish .mutants .pytest_cache .ruff_cache .import_linter_cache .hypothesis

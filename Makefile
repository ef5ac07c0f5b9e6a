# Every target does its own set-up: the first run makes .venv and installs what it needs.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
ROOTS := sdk libs services tests bench tools deploy examples

.DEFAULT_GOAL := help
.PHONY: help demo test test-slow test-peers coverage up lint format types imports proto api-page proto-check proto-floor bench bench-test deploy-check cluster-test compose-test systemd-test chaos chaos-power fuzz check clean

help: ## show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed"; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo "python's venv module is needed (Debian: apt install python3-venv)"; exit 1; }

$(VENV)/.installed: pyproject.toml | $(VENV)/bin/python
	@echo "installing miStudio mesh into $(VENV) (a few minutes the first time)"
	@$(PIP) --editable '.[all]'
	@touch $@

$(VENV)/.installed-dev: pyproject.toml | $(VENV)/bin/python
	@echo "installing miStudio mesh and its development tools into $(VENV) (a few minutes the first time)"
	@$(PIP) --editable '.[dev]'
	@touch $@ $(VENV)/.installed

$(VENV)-proto/.installed: tools/proto-requirements.txt
	@$(PYTHON) -m venv $(VENV)-proto
	@$(VENV)-proto/bin/python -m pip install --quiet --disable-pip-version-check --requirement $<
	@touch $@

PYTEST := $(BIN)/pytest --numprocesses 3 --dist loadfile --no-loadscope-reorder

demo: $(VENV)/.installed ## raw text to readable features, offline, on the real mesh
	@$(BIN)/mistudio demo

up: $(VENV)/.installed ## a whole mesh on this machine, until Ctrl-C
	@$(BIN)/mistudio up

test: $(VENV)/.installed-dev ## all tests that take seconds
	@$(PYTEST)

test-slow: $(VENV)/.installed-dev ## tests of the job plane that take long
	@$(BIN)/pytest -m 'slow or cluster' --numprocesses 3 --dist loadfile tests/integration

coverage: $(VENV)/.installed-dev ## the tests, and what they did not reach
	@$(PYTEST) --cov --cov-report=
	@$(BIN)/coverage combine --quiet --append 2>/dev/null || true
	@$(BIN)/coverage report

test-peers: $(VENV)/.installed-dev $(VENV)-peers/.installed $(VENV)-sparsify/.installed ## our SAEs in the real sae-lens and sparsify, latents compared
	@MISTUDIO_SAELENS_PYTHON=$(CURDIR)/$(VENV)-peers/bin/python \
	MISTUDIO_SPARSIFY_PYTHON=$(CURDIR)/$(VENV)-sparsify/bin/python $(BIN)/pytest -m peers

$(VENV)-peers/.installed: PEER = sae-lens==6.54.12
$(VENV)-sparsify/.installed: PEER = eai-sparsify==1.3.3
$(VENV)-peers/.installed $(VENV)-sparsify/.installed:
	@$(PYTHON) -m venv $(@D)
	@$(@D)/bin/python -m pip install --quiet --disable-pip-version-check 'torch>=2.6,<=2.13.0'
	@$(@D)/bin/python -m pip install --quiet --disable-pip-version-check '$(PEER)'
	@touch $@

lint: $(VENV)/.installed-dev ## style
	@$(BIN)/ruff check $(ROOTS)
	@$(BIN)/ruff format --check --quiet $(ROOTS) || { echo "run 'make format'"; exit 1; }

format: $(VENV)/.installed-dev ## make the style right
	@$(BIN)/ruff check --fix --quiet $(ROOTS) || true
	@$(BIN)/ruff format --quiet $(ROOTS)

types: $(VENV)/.installed-dev ## mypy --strict
	@$(BIN)/mypy

imports: $(VENV)/.installed-dev ## who may import whom
	@$(BIN)/lint-imports

proto: $(VENV)-proto/.installed ## generate sdk/mistudio/v1 from protos/
	@PATH="$(CURDIR)/$(VENV)-proto/bin:$$PATH" python tools/generate_protos.py

api-page: $(VENV)/.installed ## write docs/api.md from the contract
	@$(BIN)/python tools/api_page

proto-check: $(VENV)/.installed-dev proto ## the contract is clean, compatible, and what is generated is current
	@$(BIN)/buf lint protos
	@$(BIN)/buf format --diff --exit-code protos
	@$(BIN)/buf breaking protos --against protos/released.binpb
	@git diff --exit-code --stat -- sdk/mistudio/v1 || { echo "commit what 'make proto' generated"; exit 1; }

proto-floor: ## the SDK imports on the oldest protobuf and grpcio that it allows
	@$(PYTHON) -m venv $(VENV)-floor
	@$(VENV)-floor/bin/python -m pip install --quiet --disable-pip-version-check \
		grpcio==1.68.1 protobuf==5.28.1 googleapis-common-protos==1.66.0 click==8.1.8 rich==13.9.4
	@PYTHONPATH=sdk $(VENV)-floor/bin/python -W error -c 'import mistudio, mistudio.v1, mistudio.cli; print("the SDK imports on its floor")'

bench: $(VENV)/.installed-dev ## side-by-side measurements (bench/README.md)
	@$(BIN)/python -m bench

bench-test: $(VENV)/.installed-dev ## every part of the bench runs, at sizes that measure nothing
	@$(BIN)/pytest -m 'slow or not slow' -n 0 tests/integration/test_bench_jobs.py tests/integration/test_bench_train.py

deploy-check: $(VENV)/.installed-dev ## Dockerfile, compose files and broker configurations are clean
	@$(BIN)/hadolint deploy/Dockerfile
	@$(BIN)/check-jsonschema --quiet --builtin-schema vendor.compose-spec deploy/compose*.yaml
	@for file in deploy/nats/*.conf; do MISTUDIO_BROKER_NAME=any $(BIN)/nats-server -t -c $$file >/dev/null || exit 1; done

cluster-test: $(VENV)/.installed-dev ## three brokers and two gateways for real: leaders killed, a majority lost, a gateway that hangs
	@$(BIN)/pytest -m 'cluster or not cluster' -n 0 tests/integration/test_cluster.py tests/integration/test_two_gateways.py

compose-test: $(VENV)/.installed-dev ## the containers for real: built, killed, stopped, nothing lost (needs Docker)
	@$(BIN)/pytest -m compose -n 0 -s tests/compose

systemd-test: $(VENV)/.installed-dev ## the units for real: installed, started, killed, drained by systemd (needs Docker)
	@$(BIN)/pytest -m systemd -n 0 -s tests/systemd

chaos: $(VENV)/.installed-dev ## kills, cuts, freezes for 15 minutes, then an audit (SEED=N repeats a run)
	@PYTHONPATH=tests $(BIN)/python -m chaos $(if $(SEED),--seed $(SEED))

chaos-power: $(VENV)/.installed-dev ## the power fails for everything at once, and what was not synced is gone (needs root)
	@PYTHONPATH=tests $(BIN)/python -m chaos.power $(if $(SEED),--seed $(SEED))

fuzz: $(VENV)/.installed-dev ## odd requests to every rpc, at random, for minutes (EXAMPLES=N to each)
	@MISTUDIO_FUZZ_EXAMPLES=$(or $(EXAMPLES),500) $(BIN)/pytest -n 0 --timeout 0 tests/integration/test_fuzz.py

check: lint types imports proto-check deploy-check test ## what CI runs

clean: ## remove what make has made
	rm -rf $(VENV) $(VENV)-proto $(VENV)-floor $(VENV)-celery $(VENV)-peers $(VENV)-sparsify $(VENV)-dictionary-learning .coverage .coverage.* .mypy_cache .pytest_cache .ruff_cache

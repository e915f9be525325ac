# SPDX-License-Identifier: Apache-2.0
# One toolbox; "make" alone lists the words.
SHELL := /bin/bash
.SHELLFLAGS := -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory
BIN := .venv/bin
JOBS ?= $(shell nproc)
export PYTHONUNBUFFERED := 1

.PHONY: help setup lock demo up down guest-image check lint types imports tidy test test-postgres test-nats test-split faults sim nightly compat tempest bench docs clean

help:  ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile

setup:  ## install all that is needed (Debian packages as root); quick when nothing is to do
	@tools/setup

lock:  ## resolve the locked requirements anew
	@tools/lock

demo:  ## a real guest, booted and logged into with the unmodified openstack client (DEMO=--clean: leave nothing)
	@tools/setup demo
	@$(BIN)/python demo/run.py $(DEMO)

up: setup  ## start a cloud (ARGS="--simulate 3 --port 8000")
	@$(BIN)/octostack up --detach $(ARGS)

down:  ## stop it
	@$(BIN)/octostack down $(ARGS)

guest-image: setup  ## build the small guest of the demo and the tests
	@tools/guest-image $(ARGS)

check: setup  ## lint, format, types, import rules, house rules
	@$(MAKE) --keep-going lint types imports tidy

lint:
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --quiet --check . || { echo 'format: run .venv/bin/ruff format'; exit 1; }

types:
	@$(BIN)/mypy

imports:
	@$(BIN)/lint-imports --no-cache | tail -n 40

tidy:
	@$(BIN)/python -m pytest -q -p no:cacheprovider -p no:randomly --tb=short tests/test_tidy.py

test: setup  ## all tests (ARGS="tests/unit -k name")
	@$(BIN)/python -m pytest -q -n $(JOBS) --dist loadfile $(ARGS)

test-postgres: setup  ## the API suites on PostgreSQL in place of SQLite
	@TEST_DATABASE=postgresql $(BIN)/python -m pytest -q -n $(JOBS) --dist loadfile tests/api tests/sagas $(ARGS)

test-nats: setup  ## the API suites and sagas with every call through a broker
	@TEST_BUS=nats $(BIN)/python -m pytest -q -n $(JOBS) --dist loadfile tests/api tests/sagas $(ARGS)

sim: setup  ## seeded simulations, many seeds (SEEDS=200)
	@SIM_SEEDS=$(or $(SEEDS),200) $(BIN)/python -m pytest -q -n $(JOBS) tests/sim $(ARGS)

nightly: setup  ## what takes too long for each change: 1,000 lives of a storage cluster under faults (SEEDS=1000)
	@$(BIN)/python -m octostack.testing.cephsim --many $(or $(SEEDS),1000) $(JOBS)

test-split: setup  ## the openstack client and the SDK on parts as processes, on a broker and PostgreSQL
	@COMPAT_SPLIT=1 $(BIN)/python -m pytest -q tests/compat/test_cli_* tests/compat/test_sdk.py $(ARGS)

faults: setup  ## kill -9 at every point of every operation (ARGS="-k 'control and boot'")
	@FAULT_POINTS=all $(BIN)/python -m pytest -q -rP -n $(JOBS) tests/faults/test_killed_at_each_point.py $(ARGS)

compat: setup  ## clients of others against us, tempest in full
	@COMPAT_FULL=1 $(BIN)/python -m pytest -q tests/compat $(ARGS)

tempest: setup  ## tempest alone, compared with the checked-in list
	@$(BIN)/python tools/tempest_run.py $(ARGS)

bench: setup  ## measure, print medians beside their targets (ARGS="tokens ports")
	@$(BIN)/python -m benchmarks $(ARGS)

docs: setup  ## check the links of the documents and rewrite what is generated
	@$(BIN)/python tools/docs.py

clean:  ## remove what was made, the environments excepted
	@rm -rf build dist .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	@find src tests tools benchmarks demo -name __pycache__ -type d -prune -exec rm -rf {} +

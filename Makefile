# Everyday commands. `make` alone lists them. Everything is installed into this folder only:
# .tools (aws-sam-cli, MiniStack, uv), .venv (the product and its tests), .local (the laptop home).

PYTHON ?= python3
PY := .venv/bin/python
# Ctrl-C reaches the command itself; make adds nothing to its messages.
MAKEFLAGS += --no-print-directory

.DEFAULT_GOAL := help
.PHONY: help setup up down status demo logs invoke test check lint types template layers bench bench-ledger bench-matching bench-online bench-ingestion format

help: ## List these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## Install what is needed, pinned and hashed (quick when up to date)
	@command -v "$(PYTHON)" >/dev/null || { echo "$(PYTHON) is missing: install Python 3.11 or newer, or name yours: make setup PYTHON=..." >&2; exit 1; }
	@$(PYTHON) local/setup_environment.py

up: setup ## Start the laptop home and deploy template.yaml to it
	@$(PY) -m local up

down: setup ## Stop all that `make up` started, and only that
	@$(PY) -m local down

status: setup ## What runs, and where
	@$(PY) -m local status

demo: setup ## Play one savings circle's round from end to end and leave the home running
	@$(PY) -m local.demo

logs: setup ## What functions wrote lately: make logs [FUNCTION=CaptureWebhookFunction]
	@$(PY) -m local logs $(FUNCTION)

invoke: setup ## make invoke FUNCTION=CaptureWebhookFunction EVENT=events/webhooks/….json
	@$(PY) -m local invoke "$(FUNCTION)" "$(EVENT)"

test: setup ## Run every test; needs nothing started beforehand: make test [WORKERS=2] [ARGS=…]
	@$(PY) -m pytest $(if $(WORKERS),-n $(WORKERS) --dist loadgroup) $(ARGS)

check: lint types test ## All of it: lint, types, import rules, and every test (the templates' too)

lint: setup ## Style and import rules
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check --quiet . || { echo "run: make format" >&2; exit 1; }
	@PYTHONPATH=layers/shared .venv/bin/lint-imports --no-cache --no-logo

format: setup ## Rewrite files in the agreed style
	@$(PY) -m ruff check --fix --quiet . || true
	@$(PY) -m ruff format .

types: setup ## Strict types
	@$(PY) -m mypy

template: setup ## Check templates, state machines and layers only: sam, cfn-lint, checkov, statelint
	@$(PY) -m pytest tests/template $(ARGS)

layers: setup ## Build the layers as they ship to AWS (arm64, Python 3.13) into .local/aws-layers
	@rm -rf .local/aws-layers
	@for layer in shared engine; do $(PY) layers/build_layer.py $$layer .local/aws-layers/$$layer || exit 1; done

bench-ledger: setup ## Measure the ledger beside its limits and a peer (QUICK=1: under a minute)
	@$(PY) -m benchmarks.ledger

bench-matching: setup ## Score and time matching against an answer key (SIZE=10m for more)
	@$(PY) -m benchmarks.matching

bench-online: setup ## Measure a leg's cost online, with ten thousand and a million legs open
	@$(PY) -m benchmarks.matching.online

bench-ingestion: setup ## Measure readers, the road of large files, and webhooks if the home runs
	@$(PY) -m benchmarks.ingestion

bench: setup ## Measure imports of every handler, and the API if the home runs
	@$(PY) -m benchmarks

# `make` alone lists the targets. Each one sets up what it needs and nothing else; scripts/ holds how.
#
# Tools and compiled crates are kept in $TOLLGATE_CACHE (default: ~/.cache/tollgate), for all checkouts together.
# ARGS is handed on to what a target runs:  make demo ARGS=--once

.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

SETUP := scripts/setup.sh
# The Node.js that package.json asks for, whatever the machine's is.
NODE := node_modules/.bin/node

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: setup
setup: ## Install all that is needed to build, check and test
	@$(SETUP)

.PHONY: build
build: ## Build the worker for release into build/
	@$(SETUP) rust wasm npm worker
	@scripts/build.sh

.PHONY: tool
tool: ## Build the command-line tool: build/tollgate
	@$(SETUP) rust
	@scripts/tool.sh

.PHONY: demo
demo: build ## Show it: a client held back, paying, served (ARGS=--once: then exit)
	@$(NODE) demo/demo.ts $(ARGS)

.PHONY: dev
dev: ## Run the worker locally with wrangler, rebuilt on change
	@$(SETUP) rust wasm npm worker
	@scripts/dev.sh $(ARGS)

.PHONY: deploy
deploy: build ## Deploy the worker to Cloudflare
	@scripts/deploy.sh $(ARGS)

.PHONY: test
test: ## Set up, build, check, and run all tests
	@scripts/test.sh

.PHONY: test-native
test-native: ## Run the tests in Rust
	@$(SETUP) rust
	@scripts/test-native.sh

.PHONY: test-e2e
test-e2e: build ## Run the tests against the worker in workerd, with a local chain
	@$(SETUP) python browser
	@scripts/tool.sh --quick
	@npm run --silent test:e2e

.PHONY: soak
soak: build ## Send 20,000 requests, kill workerd three times, and compare all sums
	@SOAK_REQUESTS=20000 $(NODE) --test tests/e2e/soak.test.ts

.PHONY: check
check: ## Check format, lints, docs, dependencies and types
	@$(SETUP) rust wasm npm deny
	@scripts/check.sh

.PHONY: advisories
advisories: ## Look for known vulnerabilities in the dependencies (asks the web)
	@$(SETUP) rust deny
	@bash -c '. scripts/env.sh && "$$bin/cargo-deny" check advisories'

.PHONY: bench
bench: build ## Measure what the gate costs, beside bare workers
	@$(NODE) bench/bench.ts $(ARGS)

.PHONY: bench-cost
bench-cost: build ## Count what Cloudflare would charge for (takes five minutes)
	@$(NODE) bench/cost.ts

.PHONY: bench-trust
bench-trust: build ## Measure what a client waits for a refill, settled first and on trust
	@$(NODE) bench/trust.ts $(ARGS)

.PHONY: clean
clean: ## Remove what was made in this checkout (the cache stays)
	rm -rf build node_modules target .wrangler .tmp

# Everything that can be done with a clone. Needs Python >= 3.11 (with venv), git and make, and nothing else.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help demo test check providers crash bench clean

# The bench has an environment of its own: its peers bring packages that nothing else needs.
VENV = .venv
BIN = $(VENV)/bin
BENCH_VENV := .venv-bench
# A stamp is newer than pyproject.toml once its set of packages is installed; `dev` contains the other sets.
PLAIN := .venv/.installed-plain
WITH_MODELS := .venv/.installed-models
DEV := .venv/.installed-dev
BENCH := $(BENCH_VENV)/.installed
# Versions of clients that cannot stand beside those of `dev`, and what is heavy: each set in a folder of its own.
SETS := $(wildcard tests/cassette/clients/versions/*.txt)
CLIENTS := $(SETS:tests/cassette/clients/versions/%.txt=.venv/clients/%/.installed)
# Programs that only tests of the web door run: one that drives a browser, one that makes requests up.
TOOLS := $(patsubst tests/web/tools/%.txt,.venv/tools/%/.installed,$(wildcard tests/web/tools/*.txt))
# Twice quiet: pip shows errors only.
PIP = $(BIN)/python -m pip --disable-pip-version-check install -qq

# Tests of one file stay on one worker, so that what they share is made once.
TEST_OPTIONS ?= -n 2 --dist loadfile

help:  ## list these targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(WITH_MODELS)  ## cluster a real network, summarise each cluster from recorded answers; kill it, go on with it
	@export PATH="$$PWD/$(BIN):$$PATH"; examples/demo/demo.sh

test: $(DEV) $(CLIENTS) $(TOOLS) browser  ## set everything up and run all tests
	@$(BIN)/python -m pytest $(TEST_OPTIONS)

check: $(DEV)  ## ruff, mypy --strict and the architecture
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -q tests/test_architecture.py

providers: $(DEV)  ## record the tests' cassettes of providers anew from others' emulator (needs node and npm)
	@npm install --silent --no-audit --no-fund --prefix .venv/node @copilotkit/aimock
	@node tests/summaries/emulator.mjs "$$PWD/.venv/node/node_modules" 4010 & emulator=$$!; trap "kill $$emulator" EXIT; \
	until curl -sf http://127.0.0.1:4010/__aimock/journal >/dev/null; do sleep 0.2; done; \
	RESPOOL_EMULATOR=http://127.0.0.1:4010 $(BIN)/python -m pytest -q tests/summaries/test_provider.py tests/summaries/test_summaries_killed.py

crash: $(DEV)  ## the long kill tortures and the long state machine (their short forms are a part of `make test`)
	KILLS=$${KILLS:-120} RERECORD_KILLS=$${RERECORD_KILLS:-30} MACHINE_EXAMPLES=$${MACHINE_EXAMPLES:-2000} \
	  $(BIN)/python -m pytest -rA --timeout 7200 tests/crash tests/rerecord_suite/test_rerecord_kills.py \
	  tests/batch/test_state_machine.py

bench: VENV = $(BENCH_VENV)
bench: $(BENCH)  ## measure beside the peers, and save the figures with the machine's description
	$(BIN)/python -m bench

clean:  ## remove what these targets made
	rm -rf .venv $(BENCH_VENV) .bench examples/*/.respool examples/demo/report.* examples/demo/small-model.html .mypy_cache .ruff_cache .pytest_cache .hypothesis dist build
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# A virtual environment is made anew when there is none, or when its Python is gone or too old.
# What a name in PATH is worth shows only when it is run: version switchers put shims there that lead nowhere.
define MAKE_VENV
if ! $(BIN)/python -c 'import sys, pip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
  for python in $${PYTHON:-python3.13 python3.12 python3.11 python3 python}; do
    if "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then found=$$python; break; fi
  done
  if [ -z "$${found:-}" ]; then
    echo "respool needs Python 3.11 or newer; none was found (looked for: $${PYTHON:-python3.13 python3.12 python3.11 python3 python})." >&2
    echo "  next:  install one, or name it: make $(MAKECMDGOALS) PYTHON=/path/to/python3" >&2
    exit 1
  fi
  if ! "$$found" -c 'import venv, ensurepip' 2>/dev/null; then
    echo "$$("$$found" --version) has no venv module." >&2
    echo "  next:  on Debian and Ubuntu: apt-get install python3-venv; or name another: make $(MAKECMDGOALS) PYTHON=/path/to/python3" >&2
    exit 1
  fi
  echo "making $(VENV) with $$("$$found" --version)"
  "$$found" -m venv --clear $(VENV)
fi
endef
export MAKE_VENV

# When the environment's Python is gone (an upgrade took it), its stamps are worth nothing.
$(shell test -x .venv/bin/python || rm -f $(PLAIN) $(WITH_MODELS) $(DEV); test -x $(BENCH_VENV)/bin/python || rm -f $(BENCH))

$(PLAIN): pyproject.toml
	@bash -euo pipefail -c "$$MAKE_VENV"
	@echo "installing respool"
	@$(PIP) -e .
	@touch $@

$(DEV): pyproject.toml
	@bash -euo pipefail -c "$$MAKE_VENV"
	@echo "installing respool and what its tests need"
	@$(PIP) -e '.[dev]'
	@touch $(PLAIN) $(WITH_MODELS) $@

$(WITH_MODELS): pyproject.toml
	@bash -euo pipefail -c "$$MAKE_VENV"
	@echo "installing respool with what clusters and summaries need"
	@$(PIP) -e '.[clusters,llm]'
	@touch $(PLAIN) $@

.venv/clients/%/.installed: tests/cassette/clients/versions/%.txt | $(DEV)
	@echo "installing $* for the tests of clients"
	@rm -rf $(@D)
	@$(PIP) --target $(@D) -r $<
	@touch $@

.venv/tools/%/.installed: tests/web/tools/%.txt | $(DEV)
	@echo "installing $* for the tests of the web door"
	@rm -rf $(@D)
	@$(PIP) --target $(@D) -r $<
	@touch $@

# Debian's Chromium, if it is not there and may be installed. Without one the tests of the page are skipped, and say so.
.PHONY: browser
browser:
	@if command -v chromium chromium-browser >/dev/null || [ -n "$${CHROMIUM:-}" ]; then exit 0; fi; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  echo "installing Chromium for the tests of the page"; \
	  export DEBIAN_FRONTEND=noninteractive; \
	  (apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium) >/dev/null 2>&1 && exit 0; \
	fi; \
	echo "no Chromium, and none can be installed here: the tests of the page will be skipped"

$(BENCH): pyproject.toml bench/requirements.txt
	@bash -euo pipefail -c "$$MAKE_VENV"
	@echo "installing respool and its peers"
	@$(PIP) -e . -r bench/requirements.txt
	@touch $@

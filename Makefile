# `make newgame` and `make test` need nothing but Python 3.11 to 3.13 and make.
# The environment lives in .venv and is rebuilt only when what it is made from changes.

PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready

.PHONY: newgame test slow lint docs bench clean help

help:            ## show this list
	@grep -hE '^[a-z]+: .*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/'

newgame: $(READY) ## meet a new board game: the main job
	$(BIN)/headstart newgame

# Most of a test's time is XLA's, which compiles many small programs sooner without its newest code generator. What two programs
# round alike with it, they may round otherwise without; so tests of equal bits have a run of their own.
test: $(READY) lint ## everything that continuous integration runs
	XLA_FLAGS=--xla_cpu_use_fusion_emitters=false $(BIN)/python -m pytest -n 2 -m 'not slow and not exact'
	$(BIN)/python -m pytest -n 2 -m 'exact and not slow'

slow: $(READY) ## the long tests: learning to published scores
	$(BIN)/python -m pytest -m slow

lint: $(READY) ## style and types
	$(BIN)/ruff check src tests tools
	$(BIN)/ruff format --check src tests tools
	$(BIN)/mypy

docs: $(READY) ## the documentation, as a site
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[docs]'
	$(BIN)/mkdocs build --strict

bench: $(READY) ## throughput, as ratios measured side by side
	$(BIN)/headstart bench

clean: ## forget the environment
	rm -rf .venv

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(0 if (3, 11) <= v[:2] <= (3, 13) else f"Headstart needs Python 3.11 to 3.13, and $(PYTHON) is {v[0]}.{v[1]}: name another with  make PYTHON=python3.12 ...")'
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "Setting up .venv (once; a minute or two) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[test]'
	@touch $@

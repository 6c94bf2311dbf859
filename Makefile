# `make demo` and `make test` do all the set-up themselves; run again, each skips what is done.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
C := $(wildcard rnngen/engine/c/* rnngen/counts/c/*)
DEMO := checkpoints/marrowmere.safetensors

.PHONY: demo test lint bench faults clean

demo: $(DEMO)
	$(BIN)/rnngen sample --model $(DEMO) --temp 0.8 --length 600 --prompt "PERRIN:"

test: $(VENV)/dev lint
	$(BIN)/python -m pytest --quiet --numprocesses auto --maxprocesses 8 --dist worksteal

lint: $(VENV)/dev
	$(BIN)/ruff format --check --quiet .
	$(BIN)/ruff check --quiet .
	$(BIN)/mypy

# make bench TEXT=path/to/tinyshakespeare.txt; BENCH holds further options of `python -m bench`.
bench: $(VENV)/dev
	$(BIN)/python -m bench $(if $(TEXT),--text $(TEXT)) $(BENCH)

# Ten minutes on two cores; FAULTS holds options of `python -m faults`, e.g. FAULTS='checkpoint-fuzz --scale 0.1'.
faults: $(VENV)/dev
	$(BIN)/python -m faults $(FAULTS)

$(DEMO): | $(VENV)/installed
	$(BIN)/rnngen train corpora/marrowmere.txt --time 60s --force --output $@

# A stamp and not bin/python: a creation that failed half way is done again.
$(VENV)/created:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "rnngen needs Python 3.11 or newer: make PYTHON=python3.11 ...")'
	$(PYTHON) -m venv $(VENV)
	touch $@

$(VENV)/installed: pyproject.toml constraints.txt $(C) | $(VENV)/created
	$(PIP) --editable .
	touch $@

$(VENV)/dev: pyproject.toml constraints.txt $(C) | $(VENV)/created
	$(PIP) --editable '.[dev]'
	touch $@ $(VENV)/installed

clean:
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis build *.egg-info rnngen/*/*.so

# One command each. They make their own virtual environment in .venv; PYTHON picks the interpreter.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

export KERAS_BACKEND ?= jax

.PHONY: demo test check format bench docs clean

demo: $(STAMP)
	$(BIN)/penstock demo

test: $(STAMP)
	$(BIN)/pytest

check: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(STAMP)
	$(BIN)/python -m penstock.bench --out benchmarks/records/foundation.json
	$(BIN)/python -m penstock.bench readme benchmarks/records/foundation.json README.md

docs: $(STAMP)
	$(BIN)/python scripts/docs.py

clean:
	rm -rf $(VENV)

$(STAMP): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable ".[dev]"
	touch $(STAMP)

# One command each. They make their own virtual environment in .venv; PYTHON picks the interpreter.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Two installs: the demo needs one back end, the tests need three and everything that the benchmark compares with.
DEMO := $(VENV)/.installed-demo
DEV := $(VENV)/.installed-dev

RECORDS := benchmarks/records
AUTO_ROWS := auto-waiting auto-python auto-large auto-memory auto-files
FEED_ROWS := feed-waiting feed-python feed-large feed-images feed-handover feed-start feed-memory feed-busy

# Most tests keep one core busy; each of these takes up to 2 GB of memory.
PYTEST := $(BIN)/pytest --numprocesses auto --maxprocesses 4 --dist worksteal

export KERAS_BACKEND ?= jax

.PHONY: demo test check format bench docs clean

demo: $(DEMO)
	$(BIN)/penstock demo

test: $(DEV)
	$(PYTEST)
	KERAS_BACKEND=tensorflow $(PYTEST) -m "backends and not once"
	KERAS_BACKEND=torch $(PYTEST) -m "backends and not once"

check: $(DEV)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(DEV)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(DEV)
	$(BIN)/python -m penstock.bench --out benchmarks/records/foundation.json
	$(BIN)/python -m penstock.bench readme benchmarks/records/foundation.json README.md
	$(BIN)/python -m penstock.bench readme benchmarks/records/foundation.json README.md --markers headline --kinds speed-up
	$(BIN)/python -m penstock.bench --rows peers-memory peers-files --rounds 3 --out benchmarks/records/peers.json
	$(BIN)/python -m penstock.bench readme benchmarks/records/peers.json README.md --markers peers
	$(BIN)/python -m penstock.bench --rows $(FEED_ROWS) --rounds 3 --seconds 1 --out benchmarks/records/feed.json
	$(BIN)/python -m penstock.bench readme benchmarks/records/feed.json guide/benchmarks.md --markers feed
	$(BIN)/python -m penstock.bench --rows $(AUTO_ROWS) --rounds 3 --out benchmarks/records/auto.json
	$(BIN)/python -m penstock.bench readme benchmarks/records/auto.json guide/benchmarks.md --markers auto
	$(BIN)/python -m penstock.bench --rows fast-decoding small-batches tiny-work start --out benchmarks/records/small.json
	$(BIN)/python -m penstock.bench readme benchmarks/records/small.json guide/benchmarks.md --markers small
	$(BIN)/python -m penstock.bench --rows remote remote-large --rounds 3 --out benchmarks/records/remote.json
	$(BIN)/python -m penstock.bench readme benchmarks/records/remote.json guide/sources.md --markers remote
	$(BIN)/python -m penstock.bench --rows kernels --seconds 0.3 --yardstick benchmarks/yardstick/warp.cpp \
		--out benchmarks/records/kernels.json
	$(BIN)/python -m penstock.bench readme benchmarks/records/kernels.json guide/benchmarks.md --markers kernels
	$(BIN)/penstock plan --images 14e6 --step-ms 120 --measure --seconds 25 --save-rates src/penstock/planning/rates.json
	$(BIN)/python -m penstock.bench --rows plan-cost plan-waiting plan-latency --out benchmarks/records/plan.json
	$(BIN)/python -m penstock.bench plan benchmarks/records/plan.json guide/planning.md
	$(BIN)/penstock bench images --out $(RECORDS)/study_images.json
	$(BIN)/penstock bench train --batch-size 32,256,1024 --workers 1,2 --executor threads --rounds 3 --images 1024 --out $(RECORDS)/study_train_memory.json
	$(BIN)/penstock bench train --dataset cats-dogs --cold --out $(RECORDS)/study_train_disk.json
	$(BIN)/python -m penstock.bench study README.md $(RECORDS)/study_*.json
	$(BIN)/python -m penstock.bench before-after --out benchmarks/records/before_after.json
	$(BIN)/python -m penstock.bench picture benchmarks/records/before_after.json benchmarks/before-after

docs: $(DEV)
	$(BIN)/python scripts/docs.py

clean:
	rm -rf $(VENV)

$(VENV)/pyvenv.cfg:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip

$(DEMO): pyproject.toml | $(VENV)/pyvenv.cfg
	$(BIN)/python -m pip install --quiet --editable ".[demo]"
	touch $@

$(DEV): pyproject.toml | $(VENV)/pyvenv.cfg
	$(BIN)/python -m pip install --quiet --editable ".[dev]"
	touch $@ $(DEMO)

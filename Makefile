# Everything runs in one virtual environment, .venv, which the first target that needs it sets up.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
MILVUS := .cache/milvus
MINUTES ?= 20

.PHONY: help setup milvus milvus-server demo test test-all check format bench-quality bench-methods bench-encode bench-search bench-serve bench-few bench-int8 bench-scale page-picture architecture results clean

help:
	@echo "make demo            train, encode, index and search on photographs; writes demo/"
	@echo "make test            the test suite (set-up included)"
	@echo "make check           format, lint, types, import contracts, tests"
	@echo "make milvus          install the Milvus server that tests start"
	@echo "make milvus-server   start it, to try ordhash push with"
	@echo "make test-all        the tests that make test leaves out, too (data sets, several processes, a browser)"
	@echo "make bench-quality   CIFAR-10 quality, attention  -> benchmarks/results/"
	@echo "make bench-methods   all methods on all protocols, MINUTES=20 a recipe -> docs/results.md"
	@echo "make bench-encode    encoding speed               -> benchmarks/results/"
	@echo "make bench-search    search speed, memory, recall -> benchmarks/results/"
	@echo "make bench-serve     the HTTP API under load      -> benchmarks/results/"
	@echo "make bench-few       folders of few photographs   -> benchmarks/results/"
	@echo "make bench-int8      models in 8 bits             -> benchmarks/results/"
	@echo "make bench-scale     Ray and Milvus, docs/scale.md -> benchmarks/results/"
	@echo "make page-picture    the picture of the web page in README, after make demo; needs Chromium"
	@echo "make architecture    the picture of docs/architecture.md, from the imports between rooms"
	@echo "make results         tables of README and docs, and figures, from benchmarks/results/"
	@echo "make format          format the code"
	@echo "make clean           remove the environment and every cache"

setup: $(READY)

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed; set PYTHON=..."; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $(READY)

milvus: $(MILVUS)/.ready

# The server of the tests; its package is old and wants an environment of its own.
$(MILVUS)/.ready:
	$(PYTHON) -m venv $(MILVUS)
	$(MILVUS)/bin/python -m pip install --quiet 'milvus==2.3.5' 'setuptools<80'
	@touch $(MILVUS)/.ready

milvus-server: $(MILVUS)/.ready
	$(MILVUS)/bin/python examples/milvus_server.py .cache/milvus-data

demo: $(READY)
	$(BIN)/python examples/demo.py

test: $(READY)
	$(BIN)/python -m pytest -m "not slow and not gpu and not browser and not cluster"

test-all: $(READY) $(MILVUS)/.ready
	$(BIN)/python -m pytest -m "not gpu"

check: $(READY)
	$(BIN)/ruff format --check src tests benchmarks examples tools
	$(BIN)/ruff check src tests benchmarks examples tools
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -m "not slow and not gpu and not browser and not cluster"

format: $(READY)
	$(BIN)/ruff format src tests benchmarks examples tools
	$(BIN)/ruff check --fix src tests benchmarks examples tools

bench-quality: $(READY)
	$(BIN)/ordhash data get cifar10
	$(BIN)/python benchmarks/experiments.py
	$(BIN)/python benchmarks/quality.py
	$(BIN)/ordhash data get grocery-photos
	$(BIN)/python benchmarks/attention.py
	$(BIN)/python benchmarks/tables.py

# Each goes on where it was, so the same command later adds seeds. Recipes whose data is not there are passed over, and
# those that need a GPU are left to `ordhash bench`.
bench-methods: $(READY)
	$(BIN)/ordhash data get cifar10
	for recipe in $(filter-out %-finetuned.toml,$(wildcard benchmarks/recipes/*.toml)); do $(BIN)/ordhash bench $$recipe --minutes $(MINUTES) || true; done
	$(BIN)/python benchmarks/tables.py

bench-encode: $(READY)
	$(BIN)/ordhash data get cifar10
	$(BIN)/python benchmarks/encode.py
	$(BIN)/ordhash data get grocery-photos
	$(BIN)/python benchmarks/photographs.py
	$(BIN)/python benchmarks/tables.py

bench-serve: $(READY)
	$(BIN)/python benchmarks/serve.py
	$(BIN)/python benchmarks/tables.py

# The data sets of these two are not fetched: docs/datasets.md says where each has to be put.
bench-few: $(READY)
	$(BIN)/python benchmarks/general.py
	$(BIN)/python benchmarks/tables.py

bench-int8: $(READY)
	$(BIN)/python benchmarks/int8.py
	$(BIN)/python benchmarks/tables.py

bench-scale: $(READY) $(MILVUS)/.ready
	$(BIN)/python benchmarks/scale.py
	$(BIN)/python benchmarks/tables.py

bench-search: $(READY)
	$(BIN)/ordhash data get cifar10
	$(BIN)/python benchmarks/search.py
	$(BIN)/python benchmarks/recall.py
	$(BIN)/python benchmarks/likeness.py
	$(BIN)/python benchmarks/tables.py

page-picture: $(READY)
	$(BIN)/python benchmarks/page.py

architecture: $(READY)
	$(BIN)/python tools/architecture.py

results: $(READY)
	$(BIN)/python benchmarks/tables.py

clean:
	rm -rf $(VENV) .cache build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis

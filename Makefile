# Everything runs in one virtual environment, .venv, which the first target that needs it sets up.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
MILVUS := .cache/milvus
MINUTES ?= 20
# Workers that run the tests, a core each. A worker needs more than a gigabyte of memory, hence eight at most.
WORKERS ?= $(shell cores=$$(nproc) && echo $$((cores < 8 ? cores : 8)))
# What `make test` leaves out: other tests take minutes, or need a GPU, a browser, servers or downloads.
QUICK := not slow and not gpu and not browser and not cluster
PYTEST = $(BIN)/python -m pytest --numprocesses $(WORKERS) --dist worksteal

# Tests start many processes, each of which would compile the package anew where the environment forbids to keep that.
export PYTHONDONTWRITEBYTECODE =

.PHONY: help setup milvus milvus-server demo test test-all check format bench-quality bench-methods bench-encode bench-search bench-serve bench-few bench-ridge bench-int8 bench-backbones bench-scenes bench-scale page-picture scenes-figure architecture results clean

help:
	@echo "make setup           create .venv with everything; other targets do so when they need it"
	@echo "make demo            train, encode, index and search on photographs; writes demo/"
	@echo "make test            run the quick tests on all cores, eight at most; WORKERS=1 for one core"
	@echo "make check           run everything that must pass before a commit: ruff format, ruff check, mypy,"
	@echo "                     lint-imports, the quick tests; COVERAGE=1 lists the lines that no test reaches"
	@echo "make test-all        run the slow tests too: data sets, several processes, Milvus, a browser"
	@echo "make format          format the code and apply the fixes that ruff knows"
	@echo "make milvus          install the Milvus server for the tests"
	@echo "make milvus-server   start that server, for example to try ordhash push"
	@echo "make bench-quality   measure what was tried for the default, and the attention maps -> benchmarks/results/"
	@echo "make bench-methods   compare all methods on all protocols; MINUTES=20 for each recipe -> docs/results.md"
	@echo "make bench-encode    measure encoding speed -> benchmarks/results/"
	@echo "make bench-search    measure search speed, memory and recall -> benchmarks/results/"
	@echo "make bench-serve     measure the HTTP API under load -> benchmarks/results/"
	@echo "make bench-few       measure folders of few photographs -> benchmarks/results/"
	@echo "make bench-ridge     choose the ridge of ITQ-CCA on training images -> benchmarks/results/"
	@echo "make bench-int8      measure models that compute in 8 bits -> benchmarks/results/"
	@echo "make bench-backbones compare backbones by mAP and images a second -> benchmarks/results/"
	@echo "make bench-scenes    measure on training images what finds objects in scenes -> benchmarks/results/"
	@echo "make bench-scale     measure Ray and Milvus -> benchmarks/results/"
	@echo "make page-picture    draw the web page for the README; needs Chromium, and make demo first"
	@echo "make scenes-figure   draw what parts find in scenes -> docs/images/scenes.jpg"
	@echo "make architecture    draw the picture of docs/architecture.md from the imports between rooms"
	@echo "make results         update the tables and figures of README and docs from benchmarks/results/"
	@echo "make clean           remove .venv and all caches"

setup: $(READY)

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed; set PYTHON=..."; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $(READY)

milvus: $(MILVUS)/.ready

# The package of the server needs older packages than ours, so it gets a separate environment.
$(MILVUS)/.ready:
	$(PYTHON) -m venv $(MILVUS)
	$(MILVUS)/bin/python -m pip install --quiet 'milvus==2.3.5' 'setuptools<80'
	@touch $(MILVUS)/.ready

milvus-server: $(MILVUS)/.ready
	$(MILVUS)/bin/python examples/milvus_server.py .cache/milvus-data

demo: $(READY)
	$(BIN)/python examples/demo.py

test: $(READY)
	$(PYTEST) -m "$(QUICK)"

test-all: $(READY) $(MILVUS)/.ready
	$(BIN)/python -m pytest -m "not gpu"

check: $(READY)
	$(BIN)/ruff format --check src tests benchmarks examples tools
	$(BIN)/ruff check src tests benchmarks examples tools
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(PYTEST) -m "$(QUICK)" $(if $(COVERAGE),--cov --cov-report=term-missing)

format: $(READY)
	$(BIN)/ruff format src tests benchmarks examples tools
	$(BIN)/ruff check --fix src tests benchmarks examples tools

bench-quality: $(READY)
	$(BIN)/ordhash data get cifar10
	$(BIN)/python benchmarks/experiments.py
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

# Not all data sets are fetched: bench-few, -ridge, -int8, -backbones, -scenes, -search and scenes-figure also need
# corel5k or grocery; docs/datasets.md says where each has to be put.
bench-few: $(READY)
	$(BIN)/python benchmarks/general.py
	$(BIN)/python benchmarks/tables.py

bench-ridge: $(READY)
	$(BIN)/python benchmarks/ridge.py
	$(BIN)/python benchmarks/tables.py

bench-int8: $(READY)
	$(BIN)/python benchmarks/int8.py

bench-backbones: $(READY)
	$(BIN)/python benchmarks/backbones.py

bench-scenes: $(READY)
	$(BIN)/python benchmarks/scenes.py
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

scenes-figure: $(READY)
	$(BIN)/python benchmarks/scenes_figure.py

architecture: $(READY)
	$(BIN)/python tools/architecture.py

results: $(READY)
	$(BIN)/python benchmarks/tables.py

clean:
	rm -rf $(VENV) .cache build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis .coverage*

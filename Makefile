# Every target sets up what it needs: one virtual environment, .venv, from the versions in constraints.txt.
PYTHON ?= python3
BIN := .venv/bin
DEMO := runs/demo
# A GPU machine may want another build of torch; where an index has only CUDA builds, they are gigabytes.
TORCH ?= torch==2.13.0

# Processes that share the tests out. Tests of one file stay together, those on Ray too, and what takes long comes first:
# tests/conftest.py has the scheduler. Two cores have work for four: tests wait for servers, for Ray and for processes that
# die. Those that start no process wait for nothing, and one more process would only collect all tests once more.
WORKERS ?= 4
FAST_WORKERS ?= 2
SHARED := -rsfE -n

# What pydoclint must not find: sections that it cannot read, or that describe what a function has not. The other codes take
# `a, b : int32 (N, K)` for one parameter and a shape for a type; tests/house compares names with signatures instead.
DOCSTRINGS := DOC(0|102|202|203|30|403|404|502|503)|Traceback

# Tests start many processes, and each would compile the modules again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test test-fast lint docs package bench clean

.venv/installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "raycluster needs Python 3.11 or newer; set PYTHON=" >&2; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(TORCH)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[cpu,dev,bench,docs]"
	touch $@

# pydoclint brings a docstring_parser of its own that would replace the one tyro uses, so it has an environment of its own.
.venv/lint/installed: .venv/installed
	$(PYTHON) -m venv .venv/lint
	.venv/lint/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt pydoclint
	touch $@

demo: .venv/installed
	$(BIN)/raycluster demo -o $(DEMO) --rows 20000

test: .venv/installed
	$(BIN)/python -m pytest $(SHARED) $(WORKERS)

# What starts no process, server or Ray, trains no whole model, reads no real set, and takes less than about a second per test.
test-fast: .venv/installed
	$(BIN)/python -m pytest $(SHARED) $(FAST_WORKERS) -m "not process and not slow and not data and not long"

lint: .venv/installed .venv/lint/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/codespell
	! .venv/lint/bin/pydoclint raycluster jobs 2>&1 | grep -B1 -E "$(DOCSTRINGS)"
	$(BIN)/python -m pytest tests/house

# The documentation, strictly: a broken link or a page without a place is an error. It lies in build/site.
docs: .venv/installed
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --quiet --strict

# The wheel, in an environment of its own outside the checkout.
package: .venv/installed
	.ci/package $(CURDIR)/$(BIN)/python

bench: .venv/installed
	for name in nep density knn knn_approximate knn_large map_equation metrics relations end_to_end; do $(BIN)/python -m benchmarks $$name || exit 1; done

clean:
	rm -rf .venv build runs

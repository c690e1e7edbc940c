# Two commands on a fresh machine: `make demo` and `make test`.
# Everything is installed into .venv, at the versions of constraints.txt.

PYTHON ?= python3
BIN := .venv/bin
INSTALL := $(BIN)/python -m pip install --quiet --constraint constraints.txt

.PHONY: demo test lint bench-smoke check clean

demo: .venv/demo
	$(BIN)/llmreg demo

test: .venv/dev
	$(BIN)/python -m pytest --numprocesses 2 --dist worksteal

lint: .venv/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m numpydoc.hooks.validate_docstrings llmreg/*.py llmreg/*/*.py llmreg/commands/*.py

# Every experiment at its smallest size, into a folder that is removed at the end.
bench-smoke: .venv/dev
	$(BIN)/python -m benchmarks all --smoke

check: lint test

clean:
	rm -rf .venv

.venv/demo: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(INSTALL) --editable '.[demo]'
	touch $@

.venv/dev: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(INSTALL) --editable '.[dev]'
	touch $@

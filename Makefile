# Two commands on a fresh machine: `make demo` and `make test`.
# Everything is installed into .venv, at the versions of constraints.txt.

PYTHON ?= python3
BIN := .venv/bin
INSTALL := $(BIN)/python -m pip install --quiet --constraint constraints.txt

# AutoGluon takes no pandas above 2.3: it has an environment, and versions, of its own.
AUTOML := .venv-automl/bin

# What the pages show, run and compared: a part of building them.
PAGES := tests/test_docs.py tests/test_readme.py

# The oldest versions that are supported.
MINIMUM := .venv-minimum/bin

.PHONY: demo test test-model test-automl test-clusters test-minimum test-release automl docs notebooks lint
.PHONY: bench-smoke check clean test-benchmarks

demo: .venv/demo
	$(BIN)/llmreg demo

test: .venv/dev
	$(BIN)/python -m pytest --numprocesses 2 --dist worksteal \
		--ignore tests/providers/test_real.py $(PAGES:%=--ignore %)

# The benchmarks, whose tests lie beside them; nothing of their full size is run.
test-benchmarks: .venv/dev
	$(BIN)/python -m pytest --numprocesses 2 --dist worksteal benchmarks

# A real language model, small and slow, in this process and behind a server.
test-model: .venv/dev
	$(BIN)/python -m pytest --numprocesses 2 tests/providers/test_real.py

# The estimators, the priors and scikit-learn's checks; what needs an extra skips.
test-minimum: .venv-minimum/ready
	$(MINIMUM)/python -m pytest --numprocesses 2 --dist worksteal \
		tests/test_sklearn_checks.py tests/test_classifier.py tests/test_regressor.py \
		tests/test_encoding.py tests/test_prior.py tests/test_prior_card.py \
		tests/test_net.py tests/providers/test_anthropic.py

# Ray and Spark, which needs Java: not part of what every change has to pass.
test-clusters: .venv-clusters/ready
	LLMREG_TEST_CLUSTERS=1 .venv-clusters/bin/python -m pytest tests/test_clusters.py \
		tests/test_streaming_scores.py

# The wheel is built from the sdist, installed where nothing else is, and shown at work.
test-release: .venv/dev
	rm -rf dist .venv-release
	$(BIN)/python -m build --outdir dist .
	$(PYTHON) -m venv .venv-release
	.venv-release/bin/python -m pip install --quiet --constraint constraints.txt \
		"$$(ls dist/*.whl)[demo]"
	cd dist && ../.venv-release/bin/llmreg demo

test-automl: .venv-automl/ready
	LLMREG_TEST_AUTOML=1 $(AUTOML)/python -m pytest tests/test_automl.py \
		tests/test_automl_flaml.py tests/test_automl_autogluon.py

automl: .venv-automl/ready
	OMP_NUM_THREADS=1 $(AUTOML)/python -m benchmarks automl

# The site, with every notebook run from top to bottom; a warning is an error.
docs: .venv/dev
	rm -rf docs/_build docs/api/generated
	$(BIN)/python -m pytest $(PAGES)
	LLMREG_RUN_NOTEBOOKS=1 $(BIN)/python -m sphinx -W --keep-going -q -b html docs docs/_build/html

# The notebooks again, with what they show kept in them.
notebooks: .venv/dev
	$(BIN)/python notebooks/run.py --write

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
	rm -rf .venv .venv-automl .venv-clusters .venv-minimum .venv-release dist docs/_build docs/api/generated

.venv/demo: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(INSTALL) --editable '.[demo]'
	touch $@

.venv/dev: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(INSTALL) --editable '.[dev]'
	touch $@

.venv-automl/ready: pyproject.toml constraints-automl.txt
	$(PYTHON) -m venv .venv-automl
	$(AUTOML)/python -m pip install --quiet --constraint constraints-automl.txt \
		--editable '.[autogluon,bench,flaml]' pytest pytest-socket
	touch $@

.venv-minimum/ready: pyproject.toml constraints-minimum.txt
	$(PYTHON) -m venv .venv-minimum
	$(MINIMUM)/python -m pip install --quiet --constraint constraints-minimum.txt \
		--editable . hypothesis pytest pytest-socket pytest-xdist
	touch $@

.venv-clusters/ready: pyproject.toml constraints.txt constraints-clusters.txt
	$(PYTHON) -m venv .venv-clusters
	.venv-clusters/bin/python -m pip install --quiet --constraint constraints.txt \
		--constraint constraints-clusters.txt --editable '.[bench,clusters]' \
		'dask[dataframe]' pyarrow pytest pytest-socket
	touch $@

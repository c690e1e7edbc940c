# `make demo` and `make test` need nothing but Python. Environments are made where they
# are missing, at the versions of the constraints files.

PYTHON ?= python3
BIN := .venv/bin
PYTEST := python -m pytest --numprocesses 2 --dist worksteal
# The code blocks of the pages and the public names that they list: checked by `docs`.
PAGES := tests/test_docs.py tests/test_readme.py
# Makes the environment $(1) and installs at the versions of $(2).
install = $(PYTHON) -m venv $(1) && \
	$(1)/bin/python -m pip install --quiet --constraint $(2)

.PHONY: demo lint test docs test-release test-model test-benchmarks bench-smoke
.PHONY: test-automl test-browser test-minimum test-clusters automl worlds notebooks clean

# Compare models on a few rows of a real table.
demo: .venv/demo
	$(BIN)/llmreg demo

# ---- .ci/run: what every change has to pass

# Style and types; docstrings are held by the tests of the pages.
lint: .venv/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# The tests of the package and the examples in its docstrings.
test: .venv/dev
	$(BIN)/$(PYTEST) --ignore tests/providers/test_real.py $(PAGES:%=--ignore %)

# The site, with every code block and notebook run; a warning is an error.
docs: .venv/dev
	rm -rf docs/_build docs/api/generated
	$(BIN)/$(PYTEST) $(PAGES)
	LLMREG_RUN_NOTEBOOKS=1 $(BIN)/python -m sphinx --jobs 2 -W --keep-going -q docs docs/_build/html

# The wheel, built from the sdist, installed alone, and its demo.
test-release: .venv/dev
	rm -rf dist .venv-release
	$(BIN)/python -m build --outdir dist .
	$(call install,.venv-release,constraints.txt) "$$(ls dist/*.whl)[demo]"
	cd dist && ../.venv-release/bin/llmreg demo

# ---- .ci/nightly: what takes longer, or needs more than Python

# A small language model, in this process and behind a server.
test-model: .venv/dev
	$(BIN)/$(PYTEST) tests/providers/test_real.py

# The tests of the benchmarks.
test-benchmarks: .venv/dev
	$(BIN)/$(PYTEST) benchmarks/tests

# The editor of prior cards in headless Chromium: that of the system, or else playwright's.
test-browser: .venv/browser
	command -v chromium > /dev/null || command -v google-chrome > /dev/null || \
		$(BIN)/python -m playwright install --with-deps chromium
	LLMREG_TEST_BROWSER=1 $(BIN)/python -m pytest tests/editing/test_browser.py

# Every benchmark at its smallest size, into a folder that is removed at the end.
bench-smoke: .venv/dev
	$(BIN)/python -m benchmarks all --smoke

# FLAML and AutoGluon themselves. AutoGluon needs an older pandas than constraints.txt has.
test-automl: .venv-automl/ready
	LLMREG_TEST_AUTOML=1 .venv-automl/bin/python -m pytest tests/automl \
		tests/test_architecture.py::test_importing_adapters_takes_neither_framework

# The oldest versions that are supported, without the extras.
test-minimum: .venv-minimum/ready
	.venv-minimum/bin/$(PYTEST) tests/estimators/test_sklearn_checks.py tests/estimators/test_classifier.py \
		tests/estimators/test_regressor.py tests/preprocessing/test_encoder.py \
		tests/prior/test_feature_prior.py tests/prior/test_card.py tests/nn/test_net.py \
		tests/providers/test_anthropic.py

# Searches on Ray and Spark. Spark needs Java.
test-clusters: .venv-clusters/ready
	LLMREG_TEST_CLUSTERS=1 .venv-clusters/bin/python -m pytest \
		tests/estimators/test_clusters.py tests/estimators/test_streaming_scores.py

# ---- by hand

# The comparison with AutoML tools.
automl: .venv-automl/ready
	OMP_NUM_THREADS=1 .venv-automl/bin/python -m benchmarks automl

# The tables of the worlds, made anew by their simulators: have they the same bits?
# With the sums in the order of the processor that they were made on (AVX-512).
worlds: .venv-worlds/ready
	OMP_NUM_THREADS=1 OPENBLAS_CORETYPE=SKYLAKEX .venv-worlds/bin/python -m benchmarks worlds-make --check

# The notebooks, run again and saved with their outputs.
notebooks: .venv/dev
	$(BIN)/python notebooks/run.py --write

# Remove all environments and everything that was built.
clean:
	rm -rf .venv .venv-* dist docs/_build docs/api/generated

# ---- environments

.venv/demo: pyproject.toml constraints.txt
	$(call install,.venv,constraints.txt) --editable '.[demo]'
	touch $@

.venv/dev: pyproject.toml constraints.txt
	$(call install,.venv,constraints.txt) --editable '.[dev]'
	touch $@

.venv/browser: .venv/dev
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[browser]'
	touch $@

.venv-automl/ready: pyproject.toml constraints-automl.txt
	$(call install,.venv-automl,constraints-automl.txt) \
		--editable '.[autogluon,bench,field,flaml]' pytest pytest-socket
	touch $@

.venv-worlds/ready: pyproject.toml constraints-worlds.txt
	$(call install,.venv-worlds,constraints-worlds.txt) --editable '.[worlds]'
	touch $@

.venv-minimum/ready: pyproject.toml constraints-minimum.txt
	$(call install,.venv-minimum,constraints-minimum.txt) \
		--editable . hypothesis pytest pytest-socket pytest-xdist
	touch $@

.venv-clusters/ready: pyproject.toml constraints.txt constraints-clusters.txt
	$(call install,.venv-clusters,constraints.txt) --constraint constraints-clusters.txt \
		--editable '.[bench,clusters]' 'dask[dataframe]' pyarrow pytest pytest-socket
	touch $@

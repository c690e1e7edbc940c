"""Fixtures that several test modules use."""

import gc
import os

# Before scipy is imported: with it, scikit-learn checks array API input too.
os.environ.setdefault("SCIPY_ARRAY_API", "1")
# Before torch and BLAS start: the tests run in as many processes as there are cores,
# and threads that wait for one another's cores take twice the time.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pandas as pd
import pytest

from llmreg.providers._base import CIRCUIT_BREAKER

N_ROWS = 60


@pytest.hookimpl(wrapper=True)
def pytest_collection():
    """Look for no garbage among modules and tests, which all stay: it takes seconds."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items):
    """Put the tests that use processes first, so that one worker runs all of them.

    joblib keeps its processes for the next test, and to start them takes seconds. An
    error in one of them ends them all.
    """

    def place(item):
        mark = item.get_closest_marker("processes")
        return 2 if mark is None else mark.kwargs.get("end_in_error", False)

    items.sort(key=place)


@pytest.fixture(autouse=True)
def no_earlier_failures():
    """No test knows of the failures of another."""
    CIRCUIT_BREAKER.reset()


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def table(rng):
    """A table as it comes: numbers, a flag, strings, categories, holes."""
    X = pd.DataFrame(
        {
            "age": rng.integers(18, 80, N_ROWS).astype(float),
            "bmi": rng.normal(26, 4, N_ROWS),
            "smoker": rng.random(N_ROWS) < 0.4,
            "sex": rng.choice(["female", "male"], N_ROWS),
            "region": pd.Categorical(
                rng.choice(["north", "south"], N_ROWS),
                categories=["north", "south", "west"],
            ),
        }
    )
    X.loc[::7, "bmi"] = np.nan
    X.loc[3, "sex"] = None
    return X


@pytest.fixture
def risk(table, rng):
    """A number that the table has to do with."""
    return (
        0.05 * table["age"]
        + 0.1 * table["bmi"].fillna(26)
        + 2.0 * table["smoker"]
        + rng.normal(0, 0.5, N_ROWS)
    ).rename("risk")


@pytest.fixture
def illness(risk):
    """Two classes, as strings."""
    labels = np.where(risk > risk.median(), "ill", "healthy")
    return pd.Series(labels, name="illness")


@pytest.fixture
def stage(risk):
    """Three classes, as strings."""
    return pd.cut(risk, 3, labels=["early", "late", "middle"]).astype(str)


PRIOR = {"age": 6, "bmi": 5, "smoker": 8, "sex=male": 1, "region=west": -2}


@pytest.fixture
def prior():
    """What somebody who knows the trade would say of the table."""
    return dict(PRIOR)

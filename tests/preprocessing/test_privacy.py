import numpy as np
import pandas as pd
import pytest

from llmreg import LLMAttributionClassifier
from llmreg.exceptions import UnsupportedColumnError
from llmreg.preprocessing._columns import check_levels
from llmreg.providers import AnthropicProvider
from tests.fakes import FakeProvider

CELLS = {
    "names": [f"Patient Number{i}" for i in range(20)],
    "numbers and an odd one": [*(f"{51234.5 + i % 9}" for i in range(19)), "?"],
    "mixed objects": [*(51234.5 + i for i in range(19)), "unknown"],
    "with gaps": [None] * 12 + [f"Street {i}" for i in range(8)],
}


@pytest.mark.parametrize("kind", CELLS)
def test_cells_are_not_told_as_levels(kind):
    X = pd.DataFrame({"age": np.arange(20.0), "secret": CELLS[kind]})
    y = np.arange(20) % 2
    before = FakeProvider.n_calls
    model = LLMAttributionClassifier(FakeProvider(), device="cpu")
    with pytest.raises(UnsupportedColumnError, match=r"\['secret'\] look like"):
        model.fit(X, y)
    assert FakeProvider.n_calls == before
    declared = X.assign(secret=X["secret"].astype(str).astype("category"))
    model.fit(declared, y)
    assert FakeProvider.n_calls == before + 1
    # Nothing is told to anybody here.
    LLMAttributionClassifier({"age": 1, "secret=a": 2}, device="cpu").fit(X, y)
    LLMAttributionClassifier(FakeProvider(), gamma=0.0, device="cpu").fit(X, y)


@pytest.mark.parametrize(
    "column",
    [
        ["f", "m"] * 10,
        [f"region {i % 8}" for i in range(20)],
        ["1", "2", "3", "4"] * 5,
        np.arange(20) % 2 == 0,
        pd.Categorical([f"p{i}" for i in range(20)]),
    ],
)
def test_levels_are_levels(column):
    check_levels(pd.DataFrame({"column": column}), ["column"])


def test_arrays():
    check_levels(np.random.default_rng(0).random((20, 2)), ["a", "b"])
    with pytest.raises(UnsupportedColumnError, match=r"\['b'\]"):
        X = np.array([[i, f"p{i}"] for i in range(20)], dtype=object)
        check_levels(X[:, 1:], ["b"])


def test_cells_are_not_previewed_as_levels():
    X = pd.DataFrame({"age": np.arange(20.0), "secret": CELLS["names"]})
    provider = AnthropicProvider()
    with pytest.raises(UnsupportedColumnError, match=r"\['secret'\] look like"):
        LLMAttributionClassifier(provider).preview_prompt(X, np.arange(20) % 2)

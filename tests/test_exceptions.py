from __future__ import annotations

import inspect
import pickle
from pathlib import Path

import pytest

from llmreg import exceptions
from llmreg.exceptions import LLMRegError, LLMRegWarning

ALL = [
    thing
    for _, thing in inspect.getmembers(exceptions, inspect.isclass)
    if issubclass(thing, BaseException)
]


@pytest.mark.parametrize("kind", ALL)
def test_survives_pickling(kind):
    error = kind("what was got, what was expected, what to do")
    error.add_note("and what was saved")
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is kind
    assert str(again) == str(error)
    assert again.__notes__ == error.__notes__


@pytest.mark.parametrize("kind", ALL)
def test_belongs_to_the_tree_and_is_drawn_in_it(kind):
    assert issubclass(kind, LLMRegError) != issubclass(kind, LLMRegWarning)
    page = Path(__file__).parents[1] / "docs" / "api" / "exceptions.md"
    lines = page.read_text(encoding="utf-8").splitlines()
    assert kind.__name__ in [line.strip("│├└─ ").split(" (")[0] for line in lines]


@pytest.mark.parametrize(
    ("kind", "builtin"),
    [
        (exceptions.PriorError, ValueError),
        (exceptions.PriorScoreError, exceptions.PriorError),
        (exceptions.ProviderError, RuntimeError),
        (exceptions.MissingDependencyError, ImportError),
        (exceptions.ProviderDependencyError, exceptions.MissingDependencyError),
        (exceptions.ProviderDependencyError, exceptions.ProviderError),
        (exceptions.IncompleteReplyError, exceptions.ProviderResponseError),
        (exceptions.PriorLockedError, exceptions.ProviderUnavailableError),
        (exceptions.DataError, ValueError),
        (exceptions.FeatureNamesError, exceptions.EncodingError),
        (exceptions.DeviceError, RuntimeError),
        (exceptions.PriorDisabledWarning, UserWarning),
    ],
)
def test_can_be_caught_as(kind, builtin):
    assert issubclass(kind, builtin)

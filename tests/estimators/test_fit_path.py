"""The way through `fit` is short: few frames, and few files that the rows pass."""

import sys
import traceback
from pathlib import Path

import pytest

import llmreg
from llmreg import LLMAttributionClassifier
from llmreg.posterior import _laplace

ROOT = str(Path(llmreg.__file__).parent)


class Reached(Exception):
    """Newton's first step."""


def test_few_frames_stand_before_the_first_step(table, illness, prior, monkeypatch):
    def hessian(*arguments):
        raise Reached

    monkeypatch.setattr(_laplace._LogisticModel, "hessian", hessian)
    with pytest.raises(Reached) as raised:
        LLMAttributionClassifier(prior, device="cpu").fit(table, illness)
    frames = traceback.extract_tb(raised.value.__traceback__)
    ours = [frame.name for frame in frames if frame.filename.startswith(ROOT)]
    assert ours[0] == "fit" and ours[-1] == "fit_classifier"
    assert len(ours) <= 6, ours


def test_few_files_see_the_rows(table, illness, prior):
    seen = set()

    def look(frame, event, argument):
        code = frame.f_code
        arguments = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
        if event == "call" and code.co_filename.startswith(ROOT) and "X" in arguments:
            seen.add(code.co_filename.removeprefix(ROOT))

    model = LLMAttributionClassifier(prior, device="cpu")
    sys.setprofile(look)
    try:
        model.fit(table, illness)
    finally:
        sys.setprofile(None)
    assert len(seen) <= 13, sorted(seen)

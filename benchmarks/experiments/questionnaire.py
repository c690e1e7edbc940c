"""Other forms of the question for curves, for anyone who has a key.

NOT RUN: no result is committed. Each form is asked about each card, through the
provider, whose answers are kept in its cache as always. It is measured without any
training: how well the sum of the effects ranks the rows, and how many tokens it takes.

    python -m benchmarks questionnaire --provider anthropic --cards paper packaged
    python -m benchmarks questionnaire --smoke         no key, made-up answers, seconds
"""

from __future__ import annotations

import argparse
import copy
import json
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.data.catalogue import cards_of, task_of
from benchmarks.data.datasets import Dataset, load
from benchmarks.programs import Progress, echo, make_parser, run_program
from benchmarks.reporting.metrics import FloatArray, measure, pearson
from llmreg.elicitation._curves import CURVE_TEXT
from llmreg.elicitation._questions import CurveQuestionnaire, plan
from llmreg.elicitation._responses import combine
from llmreg.elicitation._sampling import Completion, Request, Sampler
from llmreg.exceptions import LLMRegError
from llmreg.prior import FeaturePrior, Task
from llmreg.providers import LLMProvider, make_provider

#: By form: in which order the parts of an answer about a number come, and what the
#: instructions say besides.
FORMS: Mapping[str, tuple[tuple[str, ...], str]] = {
    "as it is": (("reason", "range", "curve", "special"), ""),
    "range first": (
        ("range", "reason", "curve", "special"),
        "Decide on the range of a feature first, then give the reason and the curve.",
    ),
    "reason last": (
        ("range", "curve", "special", "reason"),
        "Give range and curve first, and the reason after them.",
    ),
    "knots at percentiles": (
        ("reason", "range", "curve", "special"),
        "Set five knots in each curve, at the 5th, 25th, 50th, 75th and 95th "
        "percentile that you expect, and nowhere else.",
    ),
}


def form(name: str) -> type[CurveQuestionnaire]:
    """Make the questionnaire of a form."""
    order, says = FORMS[name]

    class Form(CurveQuestionnaire):
        system = f"{CURVE_TEXT}\n\n{says}".strip()

        @cached_property
        def schema(self) -> dict[str, Any]:
            schema = copy.deepcopy(super().schema)
            if "curves" in schema["properties"]:
                entry = schema["properties"]["curves"]["items"]
                entry["required"] = ["id", *order]
                parts = entry["properties"]
                entry["properties"] = {part: parts[part] for part in entry["required"]}
            return schema

    return Form


class MadeUp(LLMProvider):
    """Answers without a model: every curve rises, every level counts for nothing."""

    n_estimates, max_parallel, max_attempts = None, 1, 1
    max_tokens, timeout = None, 60.0

    def __init__(self, model: str = "made up", cache: str | None = None) -> None:
        self.model, self.cache = model, cache

    def _complete(self, client: Any, request: Request) -> Completion:
        asked = json.loads(request.questionnaire.user)
        parts = request.questionnaire.schema["properties"]
        outputs = [output["id"] for output in asked["outputs"]]
        number = {"reason": "", "range": [0, 1, 2], "special": {o: [] for o in outputs}}
        number["curve"] = {o: [[0, -1], [100, 1]] for o in outputs}
        level = {"reason": "", "effect": dict.fromkeys(outputs, 0)}
        is_rate = asked["kind"] == "classification"
        told = 1 / max(len(outputs), 2) if is_rate else [0, 1, 2]
        reply = {name: dict.fromkeys(outputs, told) for name in parts if "_" in name}
        for name, kind, has_level in (
            ("curves", number, False),
            ("levels", level, True),
        ):
            ids = [f["id"] for f in asked["features"] if ("level" in f) == has_level]
            reply |= {name: [{"id": i, **kind} for i in ids]} if ids else {}
        return Completion(json.dumps(reply), "end", "made up")


def ask(provider: LLMProvider, task: Task, name: str, number: int) -> FeaturePrior:
    """Ask a provider for curves in some form."""
    questions = [form(name)(q.task, q.context) for q in plan(task, "curves")]
    sampler = Sampler(task, questions, number, provider._store())
    usage = provider._run(sampler)
    return combine(task, sampler.estimates(), {"form": name}, usage)


def total(dataset: Dataset, prior: FeaturePrior) -> FloatArray:
    """Add up the effects of all values of each row, of shape (n_rows, n_outputs)."""
    effects = np.zeros((len(prior.outputs), len(dataset.X)))
    scores = dict(zip(prior.features, np.nan_to_num(prior.scores.T), strict=True))
    for feature in task_of(dataset.card).features:
        column = dataset.X[feature.name]
        if feature.level is not None:
            has_it = (column.astype(str) == feature.level).to_numpy()
            effects += np.outer(scores[feature.key], has_it)
        elif feature.key in prior.curves:
            effects += prior.curves[feature.key](column)
    return effects.T


def value(dataset: Dataset, prior: FeaturePrior) -> float:
    """Measure the sum of the effects: ROC AUC, or R2 of the best line."""
    found = total(dataset, prior)
    y = dataset.y.to_numpy()
    if dataset.kind == "regression":
        return float(max(0.0, np.nan_to_num(pearson(found[:, 0], y))) ** 2)
    scores = found[:, 0] if dataset.positive is not None else found
    return measure(dataset, y, scores, probabilities=False)["roc_auc"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program as `run_program` does."""
    return run_program(_run, _parser(), arguments, errors=(LLMRegError,))


def _run(options: argparse.Namespace) -> int:
    """Ask in every form about every card, and print and write what comes of it."""
    cards = ["titanic", "salaries"] if options.smoke else cards_of(options.cards)
    rows, progress = [], Progress(len(cards) * len(FORMS))
    with tempfile.TemporaryDirectory() if options.smoke else nullcontext() as folder:
        provider = (
            MadeUp(cache=folder)
            if options.smoke
            else make_provider(options.provider).set_params(ask="curves")
        )
        if options.model:
            provider.set_params(model=options.model)
        for card in cards:
            dataset = load(card)
            for name in FORMS:
                prior = ask(provider, task_of(dataset.card), name, options.estimates)
                about = {"card": card, "form": name, "value": value(dataset, prior)}
                rows.append(about | dict(prior.usage))
                progress.step()
    table = pd.DataFrame(rows)
    echo(table.groupby("form", sort=False).mean(numeric_only=True).to_string())
    if options.out:
        table.to_csv(options.out, index=False, float_format="%.6g")
    return 0


def _parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = make_parser("questionnaire", __doc__)
    add = parser.add_argument
    add("--cards", nargs="+", default=["packaged"], metavar="NAME")
    add("--provider", default="anthropic", help="such as openai")
    add("--model", help="the model to ask")
    add("--estimates", type=int, default=1, help="answers to average, of each form")
    add("--smoke", action="store_true", help="made-up answers about two tables")
    add("--out", type=Path, metavar="FILE.csv", help="write the results here too")
    return parser

"""How good the priors themselves are, before any model is trained with them.

For every data set and every language model that was asked about it: how far its
answers agree with one another, how far they agree with a linear model fitted on all
rows, how well the scores alone rank the rows for 1 to 5 estimates averaged, and how
many tokens it takes. No model is asked: the answers were recorded.

    python -m benchmarks elicitation                        all cards
    python -m benchmarks elicitation --cards packaged       no download
    python -m benchmarks elicitation --report               only redraw table and plot
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression, Ridge

from benchmarks.data.catalogue import (
    GROUPS,
    RESULTS,
    cards_of,
    read_card,
    read_prior,
    task_of,
)
from benchmarks.data.datasets import Dataset, load
from benchmarks.data.local_priors import COUNTED, FOLDER, read_record
from benchmarks.data.results import note_run
from benchmarks.experiments.runner import Row, add_out
from benchmarks.methods.baselines import exponential, make_encoder
from benchmarks.programs import Progress, make_parser, publish, run_program, say
from benchmarks.reporting import elicitation as report
from benchmarks.reporting.elicitation import plot
from benchmarks.reporting.metrics import (
    FloatArray,
    between_estimates,
    measure,
    pearson,
    spearman,
    subsets,
    with_coefficients,
)
from llmreg.prior import FeaturePrior, Task
from llmreg.providers import AnthropicProvider, LLMProvider, LocalProvider

#: The language models, and who would ask them; the baseline knows nothing.
MODELS: Mapping[str, type[LLMProvider] | None] = {
    report.LARGE: AnthropicProvider,
    report.SMALL: LocalProvider,
    report.BASELINE: None,
}
#: Nothing is drawn: all subsets of the estimates and all rows are used.
SEED = 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program as `run_program` does."""
    errors = (FileNotFoundError,)
    return run_program(_run, _parser(), arguments, errors=errors, stopped="Stopped.")


def _run(options: argparse.Namespace) -> int:
    """Measure the cards, unless only the report is wanted, and write it."""
    if not options.report:
        _compute(options)
    answers, alone = (pd.read_csv(path) for path in _files(options.out))
    text = report.tables(answers, alone)
    publish(text, options.out.with_suffix(".md"))
    plot(answers, alone, options.out.with_suffix(".png"))
    return 0


def read_answers(model: str, card: str) -> FeaturePrior | None:
    """Read what a language model has answered about a data set.

    None if it has not been asked.
    """
    if model == report.LARGE:
        return read_prior(card)
    if model == report.BASELINE:
        task = task_of(read_card(card))
        ones = np.ones((len(task.outputs), len(task.keys)))
        return FeaturePrior.from_array(ones, task.keys, task.outputs)
    path = FOLDER / f"{card}.json"
    return FeaturePrior.read(path) if path.exists() else None


def measure_answers(
    model: str, rows: AllRows, prior: FeaturePrior
) -> tuple[Row, list[Row]]:
    """Measure the answers of one language model about one data set.

    Returns one row with agreement and tokens, and a row for each subset of the
    estimates: how well their mean ranks all rows.
    """
    dataset = rows.dataset
    estimates = rows.in_order(prior)
    about = {"model": model, "card": dataset.name, "task": dataset.task}
    asked = MODELS[model]
    tokens = {} if asked is None else count_tokens(asked, task_of(dataset.card))
    # The dollars of one request mean little here.
    tokens.pop("usd", None)
    answers = {
        **about,
        "n_rows": len(dataset.X),
        "n_features": len(rows.keys),
        "n_outputs": estimates.shape[1],
        "n_estimates": len(estimates),
        **between_estimates(estimates),
        **with_coefficients(estimates.mean(axis=0), rows.coefficients),
        **{
            f"model_{name}": value
            for name, value in rows.alone(rows.coefficients).items()
            if not name.endswith("_exp")
        },
        **tokens,
        **_recorded(model, dataset.name),
    }
    alone = [
        {
            **about,
            "n_estimates": len(subset),
            "estimates": "+".join(str(number + 1) for number in subset),
            **rows.alone(estimates[list(subset)].mean(axis=0)),
        }
        for subset in subsets(len(estimates))
    ]
    return answers, alone


def count_tokens(
    provider: type[LLMProvider], task: Task, number: int = 1, **settings: Any
) -> Row:
    """Guess what so many estimates take, of scores or as asked; nothing is sent."""
    with tempfile.TemporaryDirectory() as empty:
        settings = {"ask": "all", **settings}
        asked = provider(n_estimates=number, cache=empty, **settings)
        if "network" in asked.get_params():
            asked.set_params(network="never")
        cost = asked.estimate_cost(task)
    return {
        "requests": cost.requests,
        "tokens_in": cost.input_tokens,
        "tokens_out": cost.output_tokens,
        "usd": cost.usd,
    }


def _recorded(model: str, card: str) -> Row:
    """Return the tokens that were counted when the answers were recorded, for one."""
    record = read_record(FOLDER / f"{card}.json") if model == report.SMALL else {}
    if "usage" not in record:
        return {}
    n = len(record["estimates"])
    return {f"counted_{name}": record["usage"][name] / n for name in COUNTED}


def _compute(options: argparse.Namespace) -> None:
    """Measure the chosen cards, and put them in the place of earlier results."""
    chosen = cards_of(options.cards)
    answers: list[Row] = []
    alone: list[Row] = []
    unasked: list[str] = []
    progress = Progress(len(chosen))
    for card in chosen:
        rows = AllRows.of(load(card))
        for model in MODELS:
            prior = read_answers(model, card)
            if prior is None:
                unasked.append(card)
                continue
            found, more = measure_answers(model, rows, prior)
            answers.append(found)
            alone += more
        progress.step()
    if unasked:
        say(
            f"{report.SMALL} has not been asked about {', '.join(unasked)}, and has no "
            "row for them. With llmreg[local] installed, `python -m "
            "benchmarks local-priors` asks it."
        )
    note_run(options.out, {"seed": SEED, "cards": chosen, "models": list(MODELS)})
    for path, new in zip(_files(options.out), (answers, alone), strict=True):
        replace_rows(path, pd.DataFrame(new))


def replace_rows(path: Path, new: pd.DataFrame) -> None:
    """Write rows to a result file, in the place of those about the same cards."""
    if path.exists():
        old = pd.read_csv(path)
        new = pd.concat([old[~old["card"].isin(new["card"])], new])
    order = {name: number for number, name in enumerate(GROUPS["all"])}
    models = list(MODELS)
    key = [new["model"].map(models.index), new["card"].map(order)]
    new = new.iloc[np.lexsort(key[::-1])]
    new.to_csv(path, index=False, float_format="%.6g", lineterminator="\n")


def _files(out: Path) -> tuple[Path, Path]:
    """Name the two result files."""
    return out, out.with_name(f"{out.stem}-alone.csv")


@dataclass(frozen=True, eq=False)
class AllRows:
    """An encoded table, and a linear model of it.

    Nothing here is a fair opponent, since nothing is held out: it measures how far a
    prior, which has seen no row, agrees with what the rows hold.

    `encoded` has the shape (n_rows, n_keys): numbers scaled to [0, 1], a column for
    every level. `coefficients`, of shape (n_outputs, n_keys), are those of a logistic
    regression (C=1), or of a ridge regression of the standardized target (alpha=1), in
    the order of the card.
    """

    dataset: Dataset
    keys: tuple[str, ...]
    encoded: FloatArray
    coefficients: FloatArray

    @classmethod
    def of(cls, dataset: Dataset) -> AllRows:
        """Encode a table, and fit the model."""
        encoder = make_encoder(dataset).fit(dataset.X)
        encoded = encoder.transform(dataset.X)
        keys = tuple(str(key) for key in encoder.get_feature_names_out())
        return cls(dataset, keys, encoded, _coefficients(dataset, encoded))

    def in_order(self, prior: FeaturePrior) -> FloatArray:
        """Put the estimates of a prior in the order of the coefficients.

        Of shape (n_estimates, n_outputs, n_keys), zero where there is no opinion.
        """
        scores = prior.scores[None] if prior.estimates is None else prior.estimates
        many = self.dataset.task == "multiclass"
        outputs = self.dataset.classes if many else prior.outputs
        rows = [prior.outputs.index(output) for output in outputs]
        columns = [prior.features.index(key) for key in self.keys]
        return np.nan_to_num(scores[:, rows][:, :, columns])

    def alone(self, weights: FloatArray) -> dict[str, float]:
        """Measure what weights make of the rows, nothing being trained.

        "roc_auc", or "r2" and "rank" (the rank correlation with the target) in a
        regression; both also for the exponential transform of the weights, under names
        that end in "_exp". For R2 the line from scores to the target is fitted on all
        rows, and does not fall.
        """
        found = self._measure(weights)
        transformed = self._measure(exponential(weights))
        return found | {f"{name}_exp": value for name, value in transformed.items()}

    def _measure(self, weights: FloatArray) -> dict[str, float]:
        """Measure one set of weights."""
        scores = self.encoded @ weights.T
        y = self.dataset.y.to_numpy()
        if self.dataset.kind == "regression":
            return {
                "r2": max(0.0, np.nan_to_num(pearson(scores[:, 0], y))) ** 2,
                "rank": float(np.nan_to_num(spearman(scores[:, 0], y))),
            }
        many = self.dataset.task == "multiclass"
        return measure(
            self.dataset, y, scores if many else scores[:, 0], probabilities=False
        )


def _coefficients(dataset: Dataset, encoded: FloatArray) -> FloatArray:
    """Fit the linear model, and put its coefficients in the order of the outputs."""
    if dataset.kind == "regression":
        y: pd.Series = (dataset.y - dataset.y.mean()) / dataset.y.std()
        return Ridge(alpha=1.0).fit(encoded, y).coef_[None]
    model = LogisticRegression(C=1.0, max_iter=5000).fit(encoded, dataset.y)
    known = list(model.classes_)
    found: FloatArray = model.coef_
    if dataset.positive is not None:
        return found if known[1] == dataset.positive else -found
    return found[[known.index(name) for name in dataset.classes]]


def _parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = make_parser("elicitation", __doc__)
    parser.add_argument(
        "--cards",
        nargs="+",
        default=["all"],
        metavar="NAME",
        help="data sets or groups of them: paper, multiclass, packaged, regression, "
        "all; tables come from where `fewshot` takes them",
    )
    add_out(parser, RESULTS / "elicitation.csv")
    return parser

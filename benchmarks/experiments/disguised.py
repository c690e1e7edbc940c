"""Knowledge of the domain or memory of the table: what a prior comes from.

The paper's ten questionnaires were answered again in five disguises (`disguise.py`),
once each: unchanged, with the names of the features alone, with the descriptions
alone, with two names swapped, and with nothing but the task and the layout of the
table. Here the answers are held against the recorded ones, against the tables, and
given to the default linear model for a prior. No model is asked.

    python -m benchmarks disguised                     all of it
    python -m benchmarks disguised --cards             only what needs no table
    python -m benchmarks disguised --report            only tables and plots again
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from benchmarks.data.catalogue import (
    PAPER,
    encoded_keys,
    read_card,
    read_prior,
)
from benchmarks.data.datasets import Dataset, load
from benchmarks.data.disguise import (
    NAMED,
    RECORDED,
    SHUFFLES,
    VARIANTS,
    WITHOUT,
    read_disguised,
    swapped_pair,
)
from benchmarks.data.results import ResultFile, note_run
from benchmarks.experiments.runner import Row, add_fits, complete, plan
from benchmarks.methods.baselines import exponential, make_encoder, prior_scores
from benchmarks.methods.disguised import DISGUISED
from benchmarks.methods.misled import Change, shuffled
from benchmarks.methods.registry import in_order
from benchmarks.programs import (
    Progress,
    make_parser,
    publish,
    report_failed,
    run_program,
)
from benchmarks.reporting import disguised as disguised_report
from benchmarks.reporting import tables as report
from benchmarks.reporting.disguised import plot
from benchmarks.reporting.metrics import pearson, spearman, with_coefficients
from llmreg.prior import FeaturePrior

FloatArray = NDArray[np.float64]

SHOTS = (1, 5, 10, 25)
#: The rows beside which the disguises are shown.
BESIDE = ("no prior, tuned", "prior alone, exp", "default linear")
METHODS = (*BESIDE, *DISGUISED)
#: Lines of the plot, as many as there are colours to tell them apart.
PLOTTED = ("no prior, tuned", *(name for name in DISGUISED if "default" in name))
ALONE = (
    *("card", "prior", "transform", "roc_auc", "shuffled", "shuffled_reach", "within"),
    *("within_reach", "error"),
)
TRANSFORMS: Mapping[str, Callable[[FloatArray], FloatArray]] = {
    "raw": lambda scores: scores,
    "exp": exponential,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program as `run_program` does; 1 where a fit failed."""
    return run_program(_run, _parser(), arguments)


def _run(options: argparse.Namespace) -> int:
    """Do what the options say."""
    out = options.out
    fits = ResultFile(out)
    alone = ResultFile(_beside(out, "alone"), ALONE, ALONE[:3])
    if not options.report and options.cards:
        _compute(fits, alone, options)
    frames = alone.read(), fits.read()
    _report(*frames, out)
    return report_failed(frames[1])


def _compute(fits: ResultFile, alone: ResultFile, options: argparse.Namespace) -> None:
    """Measure what the result files lack."""
    done = {card for card, *_ in alone.finished()}
    left = [card for card in options.cards if card not in done]
    if left:
        note_run(alone.path, {"seed": 0, "cards": left})
    progress = Progress(len(left))
    for card in left:
        dataset = load(card)
        for row in rank_rows(dataset, single_answers(dataset)):
            alone.append(row)
        progress.step(" of the priors alone")
    if set(NAMED) <= set(options.cards):
        rates = [row for card in NAMED for row in named_rates(load(card))]
        _write(pd.DataFrame(rates), _beside(fits.path, "named"))
    cells = plan(options.cards, options.shots, options.repetitions)
    complete(fits, cells, METHODS, options)


def _report(alone: pd.DataFrame, fits: pd.DataFrame, out: Path) -> None:
    """Print the tables, and write them and the plots beside the result file."""
    agreement = pd.DataFrame([row for card in PAPER for row in compare_answers(card)])
    swaps = pd.DataFrame([follow_swap(card) for card in PAPER])
    for name, frame in (("agreement", agreement), ("swapped", swaps)):
        _write(frame, _beside(out, name))
    fits = report.ordered(fits, in_order())
    text = disguised_report.tables(agreement, swaps, alone, fits)
    named = _beside(out, "named")
    if named.exists():
        text += "\n" + disguised_report.named_features(pd.read_csv(named), alone)
    publish(text, out.with_suffix(".md"))
    if not alone.empty:
        plot(alone, out.with_suffix(".png"))
    if not fits.empty:
        summary = report.summarise(fits[fits["method"].isin(PLOTTED)], "roc_auc")
        report.plot(summary, "roc_auc", out.with_name(f"{out.stem}-roc_auc.png"))


def agreement(pairs: Sequence[tuple[FloatArray, FloatArray]]) -> dict[str, float]:
    """Measure how far answers agree, on average over pairs of them.

    "sign" is the share of the features with two opinions on whose sign they agree;
    "sign_weighted" the same, each counted by the size of the second answer's score. NaN
    where no pair can be compared.
    """
    found = []
    for a, b in pairs:
        signs = with_coefficients(a, b)
        found.append(
            {
                "pearson": pearson(a, b),
                "spearman": spearman(a, b),
                "sign": signs["sign"],
                "sign_weighted": signs["sign_weighted"],
            }
        )
    return {
        name: float(np.mean(known)) if known else float("nan")
        for name in found[0]
        for known in [[each[name] for each in found if not np.isnan(each[name])]]
    }


def compare_answers(card: str) -> list[Row]:
    """Hold the answers about a table against the recorded estimates.

    A row for the recorded estimates among themselves, and one for each disguise:
    `agreement`, and the correlation over the "columns" that have one score, and over
    the "levels" of the others. The table itself is not read.
    """
    about = read_card(card)["features"]
    keys = encoded_keys(read_card(card))
    parts = {
        "columns": np.array([key in about for key in keys]),
        "levels": np.array([key not in about for key in keys]),
    }
    prior = read_prior(card)
    if prior.estimates is None:
        raise ValueError(f"The recorded prior of {card!r} has no estimates.")
    columns = [prior.features.index(key) for key in keys]
    estimates = prior.estimates[:, 0, columns]
    # Both ways round, since the weights of the signs are those of the second.
    compared = {RECORDED: [*permutations(estimates, 2)]}
    for variant in VARIANTS:
        scores = _by_key(read_disguised(card, variant), keys)
        compared[variant] = [(scores, estimate) for estimate in estimates]
    return [
        {"card": card, "prior": name}
        | agreement(pairs)
        | {
            part: agreement([(a[these], b[these]) for a, b in pairs])["pearson"]
            # Two scores always agree, or always disagree.
            if these.sum() > 2
            else float("nan")
            for part, these in parts.items()
        }
        for name, pairs in compared.items()
    ]


def follow_swap(card: str) -> Row:
    """Return whether the scores of two features with swapped names follow the names.

    The scores are those of the lines that describe the pair. "share" is how much of the
    recorded difference between the two is left: 1 where the answer follows the
    descriptions, -1 where it follows the names.
    """
    pair = swapped_pair(card)
    found: Row = {"card": card, "high": pair[0], "low": pair[1]}
    answers = {
        RECORDED: read_prior(card),
        "again": read_disguised(card, "again"),
        "swapped": read_disguised(card, "swapped"),
    }
    gaps = {}
    for name, prior in answers.items():
        high, low = _by_key(prior, pair)
        found |= {f"{name}_high": high, f"{name}_low": low}
        gaps[name] = high - low
    return found | {"share": gaps["swapped"] / gaps[RECORDED]}


def within_kinds(card: Mapping[str, Any]) -> Change:
    """Make a shuffle that knows all about a table's layout but which column is which.

    It deals the scores out anew between the numeric features, between the yes-or-no
    features, and between the levels of each feature with levels.
    """
    groups: dict[str, list[str]] = {}
    for name, feature in card["features"].items():
        levels = feature["kind"] == "categorical"
        keys = encoded_keys({"features": {name: feature}})
        # The space keeps a column called "numeric" apart from the kind.
        groups.setdefault(f"levels {name}" if levels else feature["kind"], []).extend(
            keys
        )

    def change(prior: FeaturePrior, seed: int) -> FeaturePrior:
        random = np.random.default_rng([seed, 3])
        order = np.arange(len(prior.features))
        for keys in groups.values():
            places = np.array([prior.features.index(key) for key in keys])
            order[places] = random.permutation(places)
        estimates = None if prior.estimates is None else prior.estimates[:, :, order]
        return replace(prior, scores=prior.scores[:, order], estimates=estimates)

    return change


def rank_rows(
    dataset: Dataset, priors: Mapping[str, Sequence[FeaturePrior]]
) -> list[Row]:
    """Measure how well scores alone rank all rows of a table, and how well by chance.

    Two floors show what scores are worth whose places say nothing: dealt out anew
    between all columns, and only between columns that a questionnaire without names and
    descriptions distinguishes by nothing but their place.

    A row for each name and transform: "roc_auc", the mean over its priors; "shuffled",
    the mean over `SHUFFLES` shuffles, and "shuffled_reach", the share of them that
    reach "roc_auc"; "within" and "within_reach", the same for `within_kinds`.
    """
    encoder = make_encoder(dataset).fit(dataset.X)
    encoded = encoder.transform(dataset.X)
    truth = dataset.y.to_numpy() == dataset.positive
    floors = {"shuffled": shuffled, "within": within_kinds(dataset.card)}
    rows = []
    for name, these in priors.items():
        ways = {"roc_auc": list(these)}
        for floor, change in floors.items():
            ways[floor] = [
                change(these[seed % len(these)], seed) for seed in range(SHUFFLES)
            ]
        for transform, apply in TRANSFORMS.items():
            row: Row = {"card": dataset.name, "prior": name, "transform": transform}
            for way, answers in ways.items():
                weights = np.hstack(
                    [prior_scores(replace(dataset, prior=p), encoder) for p in answers]
                )
                scores = encoded @ apply(weights)
                aucs = np.array([roc_auc_score(truth, column) for column in scores.T])
                row[way] = float(aucs.mean())
                if way != "roc_auc":
                    row[f"{way}_reach"] = float((aucs >= row["roc_auc"]).mean())
            rows.append(row)
    return rows


def single_answers(dataset: Dataset) -> dict[str, list[FeaturePrior]]:
    """List all priors of one answer that there are of a table.

    The recorded estimates one by one, and the answer to each disguise; where the model
    named a feature (`NAMED`), the estimates with zeros for it, too.
    """
    prior = dataset.prior
    if prior.estimates is None:
        raise ValueError(f"The recorded prior of {dataset.name!r} has no estimates.")
    found = {
        RECORDED: [
            replace(prior, scores=estimate, estimates=estimate[None])
            for estimate in prior.estimates
        ]
    }
    if dataset.name in NAMED:
        about = dataset.card["features"]
        keys = encoded_keys({"features": {f: about[f] for f in NAMED[dataset.name]}})
        kept = ~np.isin(prior.features, keys)
        found[WITHOUT] = [
            replace(
                each, scores=each.scores * kept, estimates=(each.scores * kept)[None]
            )
            for each in found[RECORDED]
        ]
    return found | {
        variant: [read_disguised(dataset.name, variant)] for variant in VARIANTS
    }


def named_rates(dataset: Dataset) -> list[Row]:
    """Put beside each score of what the model named how often the class is met there.

    A row for each level, or for yes: "score", the mean of the recorded estimates;
    "rows", how many there are, and "rate", the share of them in the positive class.
    """
    positive = (dataset.y == dataset.positive).to_numpy()
    rows = []
    for name in NAMED[dataset.name]:
        column = dataset.X[name]
        levels = list(dataset.card["features"][name].get("levels", ()))
        for key, value in [(f"{name}={v}", v) for v in levels] or [(name, 1.0)]:
            met = (column == value).to_numpy()
            rows.append(
                {
                    "card": dataset.name,
                    "key": key,
                    "score": float(_by_key(dataset.prior, [key])[0]),
                    "rows": int(met.sum()),
                    "rate": float(positive[met].mean()) if met.any() else np.nan,
                }
            )
    return rows


def _by_key(prior: FeaturePrior, keys: Sequence[str]) -> FloatArray:
    """Put the scores of one output in the order of some keys."""
    return prior.scores[0, [prior.features.index(key) for key in keys]]


def _write(frame: pd.DataFrame, path: Path) -> None:
    """Write what needs no going on."""
    path.parent.mkdir(parents=True, exist_ok=True)
    frame.to_csv(path, index=False, float_format="%.6g", lineterminator="\n")


def _beside(out: Path, name: str) -> Path:
    """Name a further result file."""
    return out.with_name(f"{out.stem}-{name}.csv")


def _parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = make_parser("disguised", __doc__)
    parser.add_argument(
        "--cards",
        nargs="*",
        choices=PAPER,
        default=list(PAPER),
        metavar="NAME",
        help="tables to measure the answers on, of the paper's ten (all); none: only "
        "the answers beside the recorded ones",
    )
    add_fits(parser, "disguised.csv", 5, SHOTS)
    return parser

"""What makes llmreg's results: one thing changed at a time, from a named start.

A thing is varied from up to two starting points, the default (`gamma="auto"`) and the
paper's configuration (gamma 100, exponential transform, min-max scaling). Where a
start does not use a thing, it is not varied there: a fixed gamma has no use for the
spread of the estimates, and the penalty of a linear model is the same for every row.

A further table is one more entry of `TABLES`, with its title and what a reader has to
know in `ablation_report`; methods that `methods` has already are taken from there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from benchmarks.methods.baselines import Method, Predictor, exponential, prior_alone
from benchmarks.methods.estimators import METHODS, laat
from benchmarks.methods.misled import Change, flipped, misled, shuffled
from llmreg.prior import FeaturePrior
from llmreg.prior._scores import mean

TUNED, ALONE, ALONE_EXP = "no prior, tuned", "prior alone", "prior alone, exp"
#: Rows that stand in every table.
SHARED = (TUNED, ALONE, ALONE_EXP)
#: Starting point -> the methods that differ from it in one thing.
Rows = Mapping[str, Mapping[str, Method]]

DEFAULT, DEFAULT_MLP = "default linear", "default MLP"
PAPER, PAPER_MLP = "LAAT linear, gamma 100, exp", "LAAT MLP, gamma 100, exp"
_AS_PAPER: Mapping[str, Any] = {
    "gamma": 100.0,
    "score_transform": "exp",
    "scaler": "minmax",
}
_WIDE: Mapping[str, Any] = {"hidden_layer_sizes": (100,)}
#: The parameters of each starting point, as `methods` has them.
STARTS: Mapping[str, Mapping[str, Any]] = {
    DEFAULT: {"gamma": "auto"},
    PAPER: _AS_PAPER,
    DEFAULT_MLP: {"gamma": "auto", **_WIDE},
    PAPER_MLP: {**_AS_PAPER, **_WIDE},
}
GAMMAS = (0.0, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0)
ESTIMATES = (1, 2, 3, 4)
NOISE = (0.25, 0.5, 0.75, 1.0)
TEMPERATURES = (3.0, 2.0)
WIDTHS = ((10,), (30,), (300,))
ATTRIBUTIONS = ("input_x_gradient", "integrated_gradients")
#: Asks for the training loop, where "auto" would do without: what it says is usual.
_LOOP = {"net__train_split": None}


def first(number: int) -> Change:
    """Make a change that keeps the first estimates of a prior alone.

    The scores become the mean of what is kept.
    """

    def change(prior: FeaturePrior, seed: int) -> FeaturePrior:
        if prior.estimates is None:
            return prior
        kept = prior.estimates[:number]
        return replace(prior, scores=mean(kept), estimates=kept)

    return change


def noisy(share: float) -> Change:
    """Make a change that puts noise in the place of a share of the scores' variance.

    The scores become sqrt(1 - share) times themselves plus sqrt(share) times Gaussian
    noise of their standard deviation, clipped to the scale. One seed draws the same
    noise for every share. The estimates move along with their mean: they agree with
    each other as before, on scores that are wrong.
    """

    def change(prior: FeaturePrior, seed: int) -> FeaturePrior:
        # The second number keeps this apart from other draws from the cell's seed.
        generator = np.random.default_rng([seed, 2])
        noise = generator.normal(0, np.nanstd(prior.scores), prior.scores.shape)
        mixed = np.sqrt(1 - share) * prior.scores + np.sqrt(share) * noise
        scores = np.clip(mixed, -10, 10)
        estimates = prior.estimates
        if estimates is not None:
            estimates = np.clip(estimates + (scores - prior.scores), -10, 10)
        return replace(prior, scores=scores, estimates=estimates)

    return change


def _from(start: str, **changes: Any) -> Method:
    """Change parameters of a starting point."""
    return Method(laat(**{**STARTS[start], **changes}), imports=("llmreg",))


def _with_prior(start: str, change: Change) -> Method:
    """Combine a starting point with another prior."""
    if start == ALONE_EXP:
        return Method(misled(prior_alone(exponential), change), probabilities=False)
    return Method(misled(laat(**STARTS[start]), change), imports=("llmreg",))


def _varied(
    start: str, parameter: str, values: Iterable[Any], label: str = "{}"
) -> dict[str, Method]:
    """Change one parameter of a start; rows are named after start and value."""
    return {
        f"{start}, {label.format(value)}": _from(start, **{parameter: value})
        for value in values
    }


def _with_priors(changes: Mapping[str, Change]) -> Rows:
    """Combine three starts with other priors, by what their rows are called."""
    return {
        start: {
            f"{start}, {name}": _with_prior(start, c) for name, c in changes.items()
        }
        for start in (DEFAULT, PAPER, ALONE_EXP)
    }


def _tempered(start: str) -> dict[str, Method]:
    """Take sign(s) exp(abs(s) / temperature) for a transform."""

    def make(temperature: float) -> Method:
        def fit(*arguments: Any) -> Predictor:
            # Here, so that to list the methods does not take as long as loading torch.
            from llmreg.nn import Sharpen

            changed = {**STARTS[start], "score_transform": Sharpen(temperature)}
            return laat(**changed)(*arguments)

        return Method(fit, imports=("llmreg",))

    return {f"{start}, temperature {each:g}": make(each) for each in TEMPERATURES}


#: Every table of the report, by the thing that is varied in it. Where `estimators` has
#: a method, it has the name from there.
TABLES: Mapping[str, Rows] = {
    "gamma": {
        DEFAULT: _varied(DEFAULT, "gamma", GAMMAS, "gamma {:g}"),
        PAPER: {
            f"LAAT linear, gamma {gamma:g}, exp": _from(PAPER, gamma=gamma)
            for gamma in GAMMAS
            if gamma != STARTS[PAPER]["gamma"]
        }
        | {"LAAT linear, gamma auto, exp, minmax": _from(PAPER, gamma="auto")},
    },
    "estimates": _with_priors({f"first {n} of 5": first(n) for n in ESTIMATES}),
    "noise": _with_priors(
        {f"noise {share:g}": noisy(share) for share in NOISE}
        | {"flipped prior": flipped, "shuffled prior": shuffled}
    ),
    # With other attributions the default trains in the paper's loop; to see what the
    # loop does by itself, it has a row of its own.
    "attribution": {
        PAPER: _varied(PAPER, "attribution", ATTRIBUTIONS[:1]),
        DEFAULT_MLP: {
            f"{DEFAULT_MLP}, gradient in the loop": _from(DEFAULT_MLP, **_LOOP),
            **_varied(DEFAULT_MLP, "attribution", ATTRIBUTIONS),
        },
        PAPER_MLP: _varied(PAPER_MLP, "attribution", ATTRIBUTIONS),
    },
    "score_transform": {
        DEFAULT: {
            f"{DEFAULT}, raw": _from(DEFAULT, score_transform="identity"),
            **_tempered(DEFAULT),
            f"{DEFAULT}, exp": _from(DEFAULT, score_transform="exp"),
        },
        PAPER: {
            "LAAT linear, gamma 100, raw": _from(PAPER, score_transform="identity"),
            **_tempered(PAPER),
        },
    },
    "penalty_on": {
        PAPER_MLP: {f"{PAPER_MLP}, per row": _from(PAPER_MLP, penalty_on="row")}
    },
    "penalty_weights": {
        DEFAULT: {f"{DEFAULT}, spread not used": _from(DEFAULT, penalty_weights=None)}
    },
    "width": {
        start: _varied(start, "hidden_layer_sizes", WIDTHS, "width {0[0]}")
        for start in (DEFAULT_MLP, PAPER_MLP)
    },
    "scaler": {
        DEFAULT: _varied(DEFAULT, "scaler", ("minmax", "standard")),
        PAPER: _varied(PAPER, "scaler", ("bounded", "standard")),
    },
}
#: The methods that are not among those of `methods` already.
ABLATIONS: Mapping[str, Method] = {
    name: method
    for rows in TABLES.values()
    for varied in rows.values()
    for name, method in varied.items()
    if name not in METHODS
}

"""An estimator that has seen no row: what the prior says, at typical values."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Self

import numpy as np
import pandas as pd
import torch
from scipy.special import softmax
from sklearn.base import is_classifier

from llmreg._base_rate import check_base_rate, said_mean
from llmreg._utils._text import list_names
from llmreg.exceptions import PriorError, PriorMismatchError
from llmreg.linear_model._trust import each_trust, has_opinion, one_or_each
from llmreg.nn._factory import is_averaged
from llmreg.nn._training import predict_outputs, shift_outputs
from llmreg.posterior._intervals import SHARE
from llmreg.prior._feature_prior import FeaturePrior
from llmreg.prior._scores import DEFAULT_OUTPUT
from llmreg.providers._resolve import from_mapping, prior_source

# Typical rows go through `fit` with so little weight that only their values count, not
# their labels. So few of them are weighed against every prior there is; more of them
# tell what a model says on average.
_N_ROWS, _N_AVERAGED, _WEIGHT = 37, 1_000, 1e-6
_PERCENTILES = (0.05, 0.5, 0.95)
# From the 5th to the 95th percentile, in standard deviations.
_WIDTH = 3.29
# Steps towards base rates, each of which leaves a part of the way, and the least rate:
# its logarithm must be a number.
_N_STEPS, _LEAST_RATE = 200, 1e-6


class FromPriorMixin:
    """`from_prior`, which both estimators have."""

    @classmethod
    def from_prior(cls, prior: Any, *, classes: Any = None, **params: Any) -> Self:
        """Make a fitted estimator of knowledge alone, without a row.

        It is the limit of `fit` for ever fewer rows: the average over all that may be
        true of the prior. Typical ranges scale the columns. The classes of typical
        rows have on average the base rates, those of the prior or of `base_rate`, or
        are equally frequent where none is known; targets have the middle of their
        typical range, and vary no further than it does; counts have its mean on
        average. `partial_fit` goes on from
        here, and `fit` starts anew.

        Parameters
        ----------
        prior : FeaturePrior, dict or path
            Knowledge at hand, with a curve or a typical range for every numeric
            feature. ``name=level`` is a level of the column ``name``.
        classes : array-like of shape (n_classes,), default=None
            The labels, where the prior does not name them all: by its outputs, or by
            its base rates. Whole numbers in texts are taken for numbers.
        **params
            Other parameters of the estimator; `gamma` stays "auto".

        Returns
        -------
        Self
            A fitted estimator, whose columns are those of the prior, in its order:
            ``model.feature_names_in_``.

        Raises
        ------
        PriorError
            If the prior is not at hand, or has no opinion.
        PriorMismatchError
            If it lacks typical ranges of features or targets, or names of classes.
        ValueError
            If the parameters ask for a training loop, which takes rows.

        Examples
        --------
        >>> import pandas as pd
        >>> from llmreg import FeaturePrior, LLMAttributionClassifier
        >>> prior = FeaturePrior.from_dict(
        ...     {"age": [(20, -5), (50, 0), (80, 6)], "sex=male": 2, "sex=female": 0},
        ...     output="ill",
        ...     base_rates={"ill": 0.1, "well": 0.9},
        ... )
        >>> model = LLMAttributionClassifier.from_prior(prior)
        >>> X = pd.DataFrame({"age": [30, 75], "sex": ["female", "male"]})
        >>> model.predict_proba(X)[:, 0].round(2)
        array([0.02, 0.28])
        """
        known = _at_hand(prior)
        model: Any = cls(known, **params)  # type: ignore[call-arg]
        model._validate_params()
        if model.gamma != "auto" or not is_averaged(model):
            raise ValueError(
                'from_prior makes what gamma="auto" averages. A fixed gamma, another '
                "attribution or solver, early_stopping and net__* train on rows: leave "
                "them as they are by default, or call fit."
            )
        given = model.get_params(deep=False) | {"prior": prior}
        rates, n_rows = None, _N_ROWS
        if is_classifier(model):
            labels = _labels(known, classes)
            rates = _rates(known, labels, model.base_rate)
            n_rows = max(n_rows, 2 * len(labels))
            # Not as many of each, which would be rows that were drawn by class.
            first = labels[np.zeros(n_rows - len(labels), dtype=int)]
            y: Any = pd.Series([*first, *labels], name=known.target or "target")
            said = dict(zip(map(str, labels), rates, strict=True))
            model.set_params(prior=replace(known, base_rates=said), base_rate=None)
        elif classes is None:
            y = _typical_targets(known)
            if model._loss_name() == "poisson":
                y = y * 0.0 + (said_mean(known) or 1.0)
        else:
            raise ValueError("classes are for a classifier; set classes=None.")
        # What is typical of the prior is in its units.
        model.on_unit_mismatch = "keep"
        model._fit(_typical_rows(known, n_rows), y, np.full(n_rows, _WEIGHT))
        model.set_params(**given)
        rows = model.encoder_.encode(_typical_rows(known, _N_AVERAGED))
        outputs = predict_outputs(model.net_, rows)
        if model._loss_name() == "poisson":
            shift_outputs(model.net_, -np.log(np.exp(outputs).mean(axis=0)))
        elif rates is None:
            _hold_back(model, outputs)
        else:
            shift_outputs(model.net_, _to_rates(outputs, rates))
            model.prior_ = replace(model.prior_, base_rates=known.base_rates)
        told = [replace(one, n_samples=0) for one in each_trust(model.trust_)]
        model.trust_ = one_or_each(told)
        return model  # type: ignore[no-any-return]


def _at_hand(prior: Any) -> FeaturePrior:
    """Return a prior that nobody has to be asked for, and that says something."""
    known = prior_source(prior)
    known = from_mapping(known) if isinstance(known, Mapping) else known
    if not isinstance(known, FeaturePrior):
        raise PriorError(
            "from_prior takes knowledge at hand: a FeaturePrior, a dict by feature "
            f"name, or the path to a prior card; got {type(known).__name__}. Ask a "
            "provider first: provider.elicit(task), or llmreg elicit."
        )
    if not has_opinion(known):
        raise PriorError(
            "Every score of the prior is zero or missing, so that nothing is known "
            "without rows. Give scores or curves, or call fit."
        )
    return known


def _typical_rows(prior: FeaturePrior, n_rows: int) -> pd.DataFrame:
    """Make rows of typical values, of every column in an order of its own."""
    levels: dict[str, list[str]] = {}
    for key in prior.features:
        name, mark, level = key.partition("=")
        is_level = mark and key not in prior.curves and key not in prior.ranges
        own = levels.setdefault(name if is_level else key, [])
        own += [level] * bool(is_level)
    spans = {
        name: curve.values[[0, -1]] @ [[1, 0.5, 0], [0, 0.5, 1]]
        for name, curve in prior.curves.items()
    } | {name: found[:3] for name, found in prior.ranges.items()}
    if missing := [name for name in levels if not levels[name] and name not in spans]:
        raise PriorMismatchError(
            f"The prior has no typical range of {list_names(missing)}, so that without "
            "rows nobody knows what is much or little of them. Give the 5th, 50th and "
            "95th percentile, as in FeaturePrior.from_dict(scores, ranges={name: (low, "
            "middle, high)}), ask with ask='curves', or call fit. A level is scored as "
            '"name=level".'
        )
    generator = np.random.default_rng(0)
    at = np.linspace(_PERCENTILES[0], _PERCENTILES[-1], n_rows)
    columns: dict[str, Any] = {}
    for name, own in levels.items():
        if own:
            values: Any = pd.Categorical(np.resize(own, n_rows), categories=sorted(own))
        else:
            values = np.interp(at, _PERCENTILES, spans[name])
        columns[name] = values[generator.permutation(n_rows)]
    return pd.DataFrame(columns)


def _typical_targets(prior: FeaturePrior) -> Any:
    """Make targets with the middle and the spread of their typical ranges."""
    names = prior.outputs
    if missing := [name for name in names if name not in prior.target_ranges]:
        raise PriorMismatchError(
            f"The prior has no typical range of the target {list_names(missing)}, so "
            "that without rows its middle and scale are not known. Give the 5th, 50th "
            "and 95th percentile, as in dataclasses.replace(prior, target_ranges="
            "{name: (low, middle, high)}), or call fit."
        )
    sides = np.append(0.0, np.resize([1.0, -1.0], _N_ROWS - 1))
    ranges = [(name, prior.target_ranges[name]) for name in names]
    table = {n: r.middle + sides * (r.high - r.low) / _WIDTH for n, r in ranges}
    if len(names) > 1:
        return pd.DataFrame(table)
    name = prior.target if names == (DEFAULT_OUTPUT,) and prior.target else names[0]
    return pd.Series(table[names[0]], name=name)


def _labels(prior: FeaturePrior, classes: Any) -> np.ndarray:
    """Return the labels, as given or as a prior names them."""
    if classes is None:
        named = max([*prior.base_rates], [*prior.outputs], key=len)
        is_whole = all(name.removeprefix("-").isdecimal() for name in named)
        classes = np.array(named, dtype=int if is_whole else None)
    labels = np.unique(classes)
    if len(labels) > 1:
        return labels
    raise PriorMismatchError(
        "A classifier needs at least 2 classes, and from the prior these are known: "
        f"{labels.tolist()}. Give the labels, classes=[...], or a prior with a base "
        "rate for each of them."
    )


def _rates(prior: FeaturePrior, labels: np.ndarray, declared: Any) -> np.ndarray:
    """Return how frequent classes are: as declared, as said, or equally."""
    if declared is not None:
        found = check_base_rate(declared, labels)
        assert found is not None
        return found
    if not prior.base_rates:
        return np.full(len(labels), 1 / len(labels))
    said = {str(label): prior.base_rates.get(str(label)) for label in labels}
    rates = np.array([np.nan if one is None else one.rate for one in said.values()])
    if len(rates) == 2:
        rates = np.where(np.isnan(rates), 1 - rates[::-1], rates)
    if np.isnan(rates).any():
        raise PriorMismatchError(
            f"The prior has base rates of {list_names(prior.base_rates)}, and the "
            f"classes are {labels.tolist()}. Name them alike, or give base_rate."
        )
    rates = np.maximum(rates, _LEAST_RATE)
    return np.asarray(rates / rates.sum())


def _to_rates(outputs: np.ndarray, rates: np.ndarray) -> np.ndarray:
    """Return what to add to outputs, so that probabilities are rates on average."""
    is_single = outputs.shape[1] == 1
    logits = np.hstack([np.zeros_like(outputs), outputs]) if is_single else outputs
    shift = np.zeros(len(rates))
    for _ in range(_N_STEPS):
        shift += np.log(rates / softmax(logits + shift, axis=1).mean(axis=0))
    return shift[1:] - shift[0] if is_single else shift - shift.mean()


def _hold_back(model: Any, outputs: np.ndarray) -> None:
    """Let targets vary no further than was said, noise included."""
    spread = np.maximum(outputs.std(axis=0), np.sqrt(1 - SHARE))
    share = np.sqrt(1 - SHARE) / spread
    with torch.no_grad():
        for part in model.net_.module_.parameters():
            factor = share.reshape(-1, *[1] * (part.ndim - 1))
            part.mul_(torch.as_tensor(factor).to(part))
    shift_outputs(model.net_, (1 - share) * outputs.mean(axis=0))
    model.attributions_ = model.attributions_ * share[:, None]
    pairs = zip(model.posterior_.weights, share, strict=True)
    weights = tuple(replace(one, root=one.root * part) for one, part in pairs)
    model.posterior_ = replace(model.posterior_, weights=weights)

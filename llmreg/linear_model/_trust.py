"""What became of the prior: the weights of the prior grid, put into words."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any, NamedTuple, TypeGuard

import numpy as np

from llmreg._utils._text import for_notebook, html_table, list_names, shorten
from llmreg.linear_model._prior_grid import PriorGrid
from llmreg.linear_model._subspace import Space
from llmreg.posterior._posterior import Posterior
from llmreg.prior._feature_prior import FeaturePrior

#: A weight is said to contradict its score from this probability on.
SURE = 0.9
# A cosine of scores and weights that chance gives too.
_HARDLY = 0.2
# Rows agree with a prior if they make it this many times as likely to be right; less,
# and in nats no more than this about how closely to take it, and they are too few.
_STRONG, _LITTLE = 10.0, 1.0
# From this cosine on a model follows its prior.
_CLOSE = 0.95


@dataclass(frozen=True)
class Contradiction:
    """A feature whose weight has another sign than its score.

    Parameters
    ----------
    feature : str
        Key of the encoded column.
    output : str
        The class, or the target.
    score : float
        The score that the prior gives.
    weight : float
        The weight that the model learnt.
    probability : float
        Probability that the sign differs, after the rows were seen.

    Examples
    --------
    >>> from llmreg.linear_model import Contradiction
    >>> found = Contradiction("shoe_size", "ill", score=4, weight=-1.5, probability=1)
    >>> f"{found.feature}: the prior says {found.score:+}, the rows {found.weight:+}"
    'shoe_size: the prior says +4, the rows -1.5'
    """

    feature: str
    output: str
    score: float
    weight: float
    probability: float

    def _told(self) -> tuple[str, ...]:
        """Give it as the cells of a table."""
        numbers = f"{self.score:+.1f}", f"{self.weight:+.2f}", f"{self.probability:.2f}"
        return self.feature, self.output, *numbers


def _renamed(old: str, new: str) -> Any:
    """Make a property of version 0.1 that is `new` under its `old` name."""

    def read(trust: Any) -> float:
        warnings.warn(
            f"Trust.{old} was renamed to Trust.{new} in version 0.2 and will be "
            f"removed in 0.3. Use Trust.{new} instead.",
            FutureWarning,
            stacklevel=2,
        )
        return getattr(trust, new)

    return property(read, doc=f"Deprecated name of `{new}`.")


@dataclass(frozen=True, eq=False)
class Trust:
    """How far the training rows support a prior.

    Parameters
    ----------
    gammas : ndarray of shape (n_points,)
        The points of the prior grid, each as the `gamma` that pulls as hard; 0 means
        that the scores are uninformative.
    weights : ndarray of shape (n_points,)
        How likely each is after the rows were seen; they sum to 1.
    signs : ndarray of shape (n_points,)
        1 where a point takes the scores as they are, -1 where it takes them with the
        opposite sign, 0 where it does not use them.
    transforms : ndarray of int, shape (n_points,)
        The transform of the scores that a point uses; -1 for none.
    agreement : ndarray of shape (n_outputs, n_columns) or (n_outputs, n_features)
        How likely each weight of the linear model has the sign of its score, the
        prior and the rows taken together; NaN where the score is 0 or absent. With
        curves there is one of each feature, all its levels taken together: how likely
        its shape rises and falls as the prior says.
    cosine : float
        Cosine of the trained weights and the transformed scores, over the features
        with a score: the mean over the outputs, at least 0.
    contradictions : tuple of Contradiction
        Features whose score the rows contradict, the surest first.
    n_samples : int
        Number of training rows.
    prior_weights : ndarray of shape (n_points,) or None, default=None
        `weights` before a row was seen; None in models of earlier versions.
    shape_deviations : ndarray or None, default=None
        How sure the shapes of an additive model are: the standard deviation of each
        height above the mean of the rows, of shape (n_outputs, n_features + n_weights).
        Heights are those where each feature begins, then those that segments, codes and
        other columns lead to. Of very many rows a part tells them, each standing for
        several. None without curves.
    kept : tuple of str, default=()
        Features of which the model keeps what the prior says, by `biased_features`.
    departures : tuple of str, default=()
        Features whose learnt shape is surely far from the curve of the prior, the
        farthest first, be it only steeper.
    trees : str, default=""
        What boosted trees on top have learnt, in a sentence.

    Examples
    --------
    >>> import numpy as np
    >>> from llmreg import LLMAttributionClassifier
    >>> rng = np.random.default_rng(0)
    >>> X = rng.uniform(size=(200, 2))
    >>> y = X @ [3.0, -3.0] + rng.normal(size=200) > 0
    >>> model = LLMAttributionClassifier([5, 5], random_state=0).fit(X, y)
    >>> [contradiction.feature for contradiction in model.trust_.contradictions]
    ['x1']
    """

    gammas: np.ndarray = field(repr=False)
    weights: np.ndarray = field(repr=False)
    signs: np.ndarray = field(repr=False)
    transforms: np.ndarray = field(repr=False)
    agreement: np.ndarray = field(repr=False)
    cosine: float
    contradictions: tuple[Contradiction, ...]
    n_samples: int
    prior_weights: np.ndarray | None = field(default=None, repr=False)
    shape_deviations: np.ndarray | None = field(default=None, repr=False)
    kept: tuple[str, ...] = ()
    departures: tuple[str, ...] = ()
    trees: str = ""

    believed = _renamed("believed", "p_aligned")
    reversed = _renamed("reversed", "p_reversed")
    ignored = _renamed("ignored", "p_uninformative")
    survival = _renamed("survival", "cosine")

    def __setstate__(self, state: dict[str, Any]) -> None:
        if "survival" in state:  # a pickle of version 0.1
            state = {**state, "cosine": state["survival"]}
            del state["survival"]
        self.__dict__.update(state)

    @property
    def gamma(self) -> float:
        """The weighted median of `gammas`: the fixed gamma that would do about this."""
        order = np.argsort(self.gammas, kind="stable")
        reached = np.cumsum(self.weights[order])
        return float(self.gammas[order][np.searchsorted(reached, 0.5 * reached[-1])])

    @property
    def p_aligned(self) -> float:
        """Probability that the scores are informative, with the sign that they have."""
        return float(self.weights[self.signs > 0].sum())

    @property
    def p_reversed(self) -> float:
        """Probability that the scores are informative with the opposite sign."""
        return float(self.weights[self.signs < 0].sum())

    @property
    def p_uninformative(self) -> float:
        """Probability that the scores are uninformative."""
        return float(self.weights[self.signs == 0].sum())

    @property
    def verdict(self) -> str:
        """The conclusion in a sentence or two."""
        rows, found = f"The {self.n_samples} training rows", self.contradictions
        follows = "the model follows the rows."
        cosine = f"the cosine of the model and the prior is {self.cosine:.2f}"
        close = "the model follows it" if self.cosine > _CLOSE else cosine
        is_sure, told = self._news()
        named = {c.feature: f"{c.feature} ({c.probability:.2f})" for c in found}
        if len(self.kept) == self.agreement.shape[1]:
            return (
                "The model keeps what the prior says of every feature, as declared: "
                f"{rows.lower()} tell no more than how much it counts."
            )
        if self.p_reversed > 0.5:
            return (
                f"{rows} indicate that the scores have the wrong sign (probability "
                f"{self.p_reversed:.2f}). Check which class, or which end of the "
                "scale, the prior describes."
            )
        if self.p_uninformative > 0.5:
            text = (
                f"{rows} do not support the prior (probability "
                f"{self.p_uninformative:.2f} that it is uninformative): {follows}"
            )
        elif not (is_sure or named or self.departures) and told < _LITTLE:
            text = f"{rows} are too few to tell whether the prior is right: {close}."
        elif self.cosine < _HARDLY:
            text = f"{rows} do not support the prior ({cosine}): {follows}"
        elif self.cosine <= _CLOSE:
            text = f"{rows} support the prior in part: {cosine}."
        else:
            verb = "agree with the prior" if is_sure else "leave the prior as it is"
            text = f"{rows} {verb}: {close}."
        if self.kept:
            kept = list_names(self.kept, 5, str)
            text += f" Kept as the prior has it, as declared: {kept}."
        if named:
            text += f" Contradicted: {list_names(named.values(), 5, str)}."
        if far := [name for name in self.departures if name not in named]:
            text += f" Far from what the prior says: {list_names(far, 5, str)}."
        return f"{text} {self.trees}" if self.trees else text

    def _news(self) -> tuple[bool, float]:
        """Say whether rows speak strongly for the prior, and how much they tell of it.

        The latter in nats, from before to after, over how closely it is taken.
        """
        before = self.prior_weights
        if before is None:
            return False, np.inf
        aligned = float(before[self.signs > 0].sum())
        doubt = _STRONG * (1 - self.p_aligned) * aligned
        ways = self.signs * np.log1p(self.gammas).round(6)
        way = np.unique(ways, return_inverse=True)[1]
        old, new = np.bincount(way, before), np.bincount(way, self.weights)
        told = float(np.sum(new * np.log(np.where(new > 0, new, old) / old)))
        # Where nothing else was thought possible, nothing speaks for it.
        is_open = aligned < 1 - 1e-9
        return is_open and self.p_aligned * (1 - aligned) >= doubt, told

    def __str__(self) -> str:
        return self.verdict

    def _repr_html_(self) -> str:
        """Show the probabilities, the verdict and what is contradicted in a notebook.

        In the ink of the page, be it light or dark.
        """
        ways = {
            "aligned": self.p_aligned,
            "uninformative": self.p_uninformative,
            "reversed": self.p_reversed,
        }
        rows = [
            (
                name,
                f"{share:.2f}",
                '<svg width="100" height="10" aria-hidden="true"><rect height="10" '
                f'width="{100 * share:.1f}" fill="currentColor" opacity="0.6"/></svg>',
            )
            for name, share in ways.items()
        ]
        cells = (c._told() for c in self.contradictions)
        found = [[escape(shorten(cell, 40)) for cell in row] for row in cells]
        heads = ("contradicted", "output", "score", "learnt", "probability")
        return for_notebook(
            f"<p>{escape(shorten(self.verdict, 1000))}</p>",
            html_table(("the scores are", "probability", ""), rows),
            html_table(heads, found) if found else "",
        )


def each_trust(trust: Trust | tuple[Trust, ...] | None) -> tuple[Trust, ...]:
    """Return all of what an estimator's `trust_` holds."""
    if trust is None:
        return ()
    return trust if isinstance(trust, tuple) else (trust,)


def one_or_each(trust: Sequence[Trust]) -> Trust | tuple[Trust, ...]:
    """Return what `trust_` holds: of several targets one each, else a single one."""
    return tuple(trust) if len(trust) > 1 else trust[0]


def has_opinion(prior: FeaturePrior | None) -> TypeGuard[FeaturePrior]:
    """Tell whether a prior has a score other than 0."""
    return prior is not None and bool(np.nan_to_num(prior.scores).any())


class AveragedWeights(NamedTuple):
    """The average over the prior grid, and how likely its points are."""

    coef: np.ndarray
    intercept: np.ndarray
    grid: PriorGrid
    posterior: np.ndarray
    agreement: np.ndarray  # Probability that each weight has the sign of its score.
    n_iter: int
    uncertainty: Posterior
    is_whole: bool = True  # Whether the weights use all that the columns hold.
    shape_deviations: np.ndarray | None = None  # Standard deviations of heights.

    def of_transforms(self, n_transforms: int = 0) -> np.ndarray:
        """Return how likely each transform of the scores is, of so many at least."""
        used = self.grid.transform >= 0
        return np.bincount(
            self.grid.transform[used], self.posterior[used], n_transforms
        )


def summarize(
    average: AveragedWeights,
    space: Space,
    features: Sequence[str],
    outputs: Sequence[str],
    *,
    n_samples: int,
    total_weight: float,
    kept: np.ndarray | None = None,
) -> Trust:
    """Sum up an average over a space of the weights of some features."""
    grid, scores = average.grid, space.scores
    # n rows times the paper's penalty, gamma / d tan^2 of the angle between weights
    # and scores, beside precision / 2 |e|^2, where |e| is the scale times that tangent.
    gammas = grid.precision * grid.scale**2 * max(1, space.n_scored)
    gammas = np.where(grid.transform < 0, 0.0, gammas / (2 * total_weight))
    doubt, weights = 1 - np.nan_to_num(average.agreement, nan=1.0), average.coef
    cosine = space.cosine(weights, average.of_transforms())
    learnt = space.learnt(weights)
    contradictions = [
        Contradiction(
            feature=features[j],
            output=outputs[k],
            score=float(scores[k, j]),
            weight=float(learnt[k, j]),
            probability=float(doubt[k, j]),
        )
        for k, j in np.argwhere(doubt > SURE)
    ]
    own = [] if kept is None else space.features_of(kept)
    far = space.far(weights, average.shape_deviations)
    return Trust(
        gammas=gammas,
        weights=average.posterior,
        signs=np.where(grid.transform < 0, 0, np.sign(grid.scale)).astype(int),
        transforms=grid.transform,
        agreement=average.agreement,
        cosine=max(0.0, cosine),
        contradictions=tuple(sorted(contradictions, key=lambda c: -c.probability)),
        n_samples=n_samples,
        prior_weights=np.exp(grid.log_prior),
        shape_deviations=average.shape_deviations,
        kept=tuple(features[j] for j in own),
        departures=tuple(features[j] for j in far if j not in own),
    )

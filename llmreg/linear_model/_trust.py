"""What became of the prior: the weights over the hypotheses, put into words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from llmreg._utils._text import list_names
from llmreg.linear_model._averaging import TrustedWeights

#: A weight is said to contradict its score from this probability on.
SURE = 0.9
# A cosine of scores and weights that chance gives too.
_HARDLY = 0.2


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
        What the prior said.
    weight : float
        What the model learnt.
    probability : float
        How sure the rows make it that the sign differs.

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


@dataclass(frozen=True, eq=False)
class Trust:
    """How far the training rows bear out a prior.

    Parameters
    ----------
    gammas : ndarray of shape (n_hypotheses,)
        The hypotheses about the prior, each as the `gamma` that pulls as hard; 0 is
        "the scores are no guide".
    weights : ndarray of shape (n_hypotheses,)
        How likely each is after the rows were seen; they sum to 1.
    signs : ndarray of shape (n_hypotheses,)
        1 where a hypothesis takes the scores as they are, -1 where it takes them the
        other way round, 0 where it does not take them.
    transforms : ndarray of int, shape (n_hypotheses,)
        Which transform of the scores it takes; -1 for none.
    agreement : ndarray of shape (n_outputs, n_columns)
        How likely each weight of the linear model has the sign of its score, the
        prior and the rows taken together; NaN where the score is 0 or absent.
    survival : float
        Share of the trained weights, of the features with a score, that points along
        the scores: the mean cosine over the outputs, at least 0.
    contradictions : tuple of Contradiction
        Features that the rows contradict, the surest first.
    n_samples : int
        Number of rows that had a say.

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
    survival: float
    contradictions: tuple[Contradiction, ...]
    n_samples: int

    @property
    def gamma(self) -> float:
        """The weighted median of `gammas`: the fixed gamma that would do about this."""
        order = np.argsort(self.gammas, kind="stable")
        reached = np.cumsum(self.weights[order])
        return float(self.gammas[order][np.searchsorted(reached, 0.5 * reached[-1])])

    @property
    def believed(self) -> float:
        """Probability that the scores are a guide, with the sign that they have."""
        return float(self.weights[self.signs > 0].sum())

    @property
    def reversed(self) -> float:
        """Probability that the scores are a guide once their sign is turned."""
        return float(self.weights[self.signs < 0].sum())

    @property
    def ignored(self) -> float:
        """Probability that the scores are no guide."""
        return float(self.weights[self.signs == 0].sum())

    @property
    def verdict(self) -> str:
        """The conclusion in a sentence or two."""
        rows = f"{self.n_samples} training rows"
        if self.reversed > 0.5:
            text = (
                f"The {rows} say that the scores have the wrong sign "
                f"(probability {self.reversed:.2f}): check which class or which end of "
                "the scale the prior speaks for."
            )
        elif self.ignored > 0.5:
            text = (
                f"The {rows} do not bear the prior out (probability "
                f"{self.ignored:.2f} that it is no guide): the model follows the rows."
            )
        elif self.survival < _HARDLY:
            text = (
                f"The {rows} do not bear the prior out (the cosine of the model's "
                f"weights and the scores is {self.survival:.2f}): the model follows "
                "the rows."
            )
        elif self.survival > 0.95:
            text = f"The {rows} leave the prior as it is: the model follows it."
        else:
            text = (
                f"The {rows} bear the prior out in part: the cosine of the model's "
                f"weights and the scores is {self.survival:.2f}."
            )
        if self.contradictions and self.reversed <= 0.5:
            named = [f"{c.feature} ({c.probability:.2f})" for c in self.contradictions]
            text += f" Contradicted: {list_names(named, 5, str)}."
        return text

    def __str__(self) -> str:
        return self.verdict


def each_trust(trust: Trust | tuple[Trust, ...] | None) -> tuple[Trust, ...]:
    """Give all of what an estimator's `trust_` holds."""
    if trust is None:
        return ()
    return trust if isinstance(trust, tuple) else (trust,)


def judge(
    trusted: TrustedWeights,
    scores: np.ndarray,
    *,
    features: Sequence[str],
    outputs: Sequence[str],
    units: np.ndarray,
    n_samples: int,
    total_weight: float,
) -> Trust:
    """Sum up what the search found.

    Shapes: scores (n_outputs, n_columns), units (n_transforms, n_outputs,
    n_columns).
    """
    table = trusted.hypotheses
    known = ~np.isnan(scores)
    n_scored = max(1, int(known.any(axis=0).sum()))
    # n rows times the paper's penalty, gamma / d tan^2 of the angle between weights
    # and scores, beside precision / 2 |e|^2, where |e| is the pull times that tangent.
    gammas = table.precision * table.pull**2 * n_scored / (2 * total_weight)
    gammas[table.transform < 0] = 0.0
    share = np.array(
        [trusted.posterior[table.transform == t].sum() for t in range(len(units))]
    )
    along = np.tensordot(share, units, axes=1)
    return Trust(
        gammas=gammas,
        weights=trusted.posterior,
        signs=np.where(table.transform < 0, 0, np.sign(table.pull)).astype(int),
        transforms=table.transform,
        agreement=trusted.agreement,
        survival=_cosine(trusted.coef * known, along if share.any() else units[0]),
        contradictions=_contradictions(trusted, scores, features, outputs),
        n_samples=n_samples,
    )


def _cosine(weights: np.ndarray, along: np.ndarray) -> float:
    """Return the mean cosine over the outputs that have a direction, at least 0."""
    length = np.linalg.norm(weights, axis=1) * np.linalg.norm(along, axis=1)
    inner = (weights * along).sum(axis=1)
    if not length.any():
        return 0.0
    return float(max(0.0, np.mean(inner[length > 0] / length[length > 0])))


def _contradictions(
    trusted: TrustedWeights,
    scores: np.ndarray,
    features: Sequence[str],
    outputs: Sequence[str],
) -> tuple[Contradiction, ...]:
    doubt = 1 - np.nan_to_num(trusted.agreement, nan=1.0)
    found = [
        Contradiction(
            feature=features[j],
            output=outputs[k],
            score=float(scores[k, j]),
            weight=float(trusted.coef[k, j]),
            probability=float(doubt[k, j]),
        )
        for k, j in np.argwhere(doubt > SURE)
    ]
    return tuple(sorted(found, key=lambda c: -c.probability))

"""`FeaturePrior`: what is believed about each feature before seeing a row."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from numbers import Real
from typing import Any

import numpy as np

from llmreg._utils._files import expand, write_text
from llmreg.editing._editor import Editable
from llmreg.exceptions import PriorCardError, PriorMismatchError
from llmreg.prior._card import format_card, parse_card
from llmreg.prior._curves import ResponseCurve, average, sum_up
from llmreg.prior._formatting import format_html, format_text
from llmreg.prior._names import match, match_outputs, rename, take
from llmreg.prior._scores import (
    DEFAULT_OUTPUT,
    SCORE_LIMIT,
    BaseRate,
    FloatArray,
    TypicalRange,
    check_by_name,
    check_change,
    check_names,
    check_range,
    check_rate,
    check_scores,
    rescale_range,
    spread,
)
from llmreg.prior._task import Feature

__all__ = ["SCORE_LIMIT", "FeaturePrior"]


@dataclass(frozen=True, eq=False, repr=False)
class FeaturePrior(Editable):
    """A score or a response curve for every feature and output; cannot be changed.

    A positive score says that a larger value of the feature, or having the level,
    goes with a more likely class or a larger target; 0 says that the feature is
    uninformative; NaN is no opinion. A response curve tells the effect of every value
    of a numeric feature; a score is the straight one.

    Parameters
    ----------
    features : tuple of str
        Keys of the features: ``name``, or ``name=level``.
    scores : array-like of shape (n_outputs, n_features)
        The scores; kept as a read-only array.
    outputs : tuple of str, default=("target",)
        The classes or targets that the rows of `scores` refer to.
    estimates : array-like of shape (n_estimates, n_outputs, n_features), default=None
        The answers that `scores` was made from.
    rationale : mapping of str to str, default={}
        A short reason by feature.
    task, target : str, default=""
        The task in words, and the name of what is predicted.
    descriptions : mapping of str to str, default={}
        What each feature means.
    provenance : mapping of str to str, default={}
        Where the scores come from: provider, model, date and so on.
    usage : mapping of str to int, default={}
        What the elicitation took: requests, tokens, answers from the cache.
    missing, unknown : tuple of str, default=()
        Set by `align`: features of the table without a score, and features of the
        prior that the table does not have.
    curves : mapping of str to ResponseCurve, default={}
        Curves of numeric features; their `scores` are what the curves sum up to.
    ranges : mapping of str to TypicalRange, default={}
        The 5th, 50th and 95th percentile of numeric features, in their units.
    units : mapping of str to str, default={}
        Units of the values of features.
    base_rates : mapping of str to BaseRate, default={}
        How frequent each class is in the population.
    target_ranges : mapping of str to TypicalRange, default={}
        The percentiles of the targets of a regression, by output.

    Raises
    ------
    FeatureNamesError
        If a feature is there twice or is no text.
    PriorMismatchError
        If the shape of the scores does not fit the names.
    PriorScoreError
        If scores, curves, percentiles or base rates are no numbers, or out of range.

    Examples
    --------
    >>> from llmreg import FeaturePrior
    >>> FeaturePrior.from_dict({"age": -4, "sex=female": 10, "fare": 2.5})
    FeaturePrior: 3 features, output 'target'
    feature     score
    sex=female  +10.0
    age          -4.0
    fare         +2.5
    """

    features: tuple[str, ...]
    scores: FloatArray
    outputs: tuple[str, ...] = (DEFAULT_OUTPUT,)
    estimates: FloatArray | None = None
    rationale: Mapping[str, str] = field(default_factory=dict)
    task: str = ""
    target: str = ""
    descriptions: Mapping[str, str] = field(default_factory=dict)
    provenance: Mapping[str, str] = field(default_factory=dict)
    usage: Mapping[str, int] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    curves: Mapping[str, ResponseCurve] = field(default_factory=dict)
    ranges: Mapping[str, TypicalRange] = field(default_factory=dict)
    units: Mapping[str, str] = field(default_factory=dict)
    base_rates: Mapping[str, BaseRate] = field(default_factory=dict)
    target_ranges: Mapping[str, TypicalRange] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check everything once, here, and freeze the arrays."""
        for each in fields(self):
            if each.default_factory is dict:
                check_by_name(getattr(self, each.name), each.name)
        features = check_names(self.features, "feature")
        outputs = check_names(self.outputs, "output")
        scores = check_scores(sum_up(vars(self)), features, outputs)
        # The way around a frozen dataclass.
        own = vars(self)
        own.update(features=features, outputs=outputs, scores=scores)
        if self.estimates is not None:
            own["estimates"] = check_scores(self.estimates, features, outputs, ndim=3)
        # A provider of a user's own may tell what it likes; a card holds texts.
        own.update(task=str(self.task or ""), target=str(self.target or ""))
        for kind in ("rationale", "descriptions", "units"):
            own[kind] = {name: str(text) for name, text in own[kind].items() if text}
        own["provenance"] = {n: str(told) for n, told in self.provenance.items()}
        counts = ((n, k) for n, k in self.usage.items() if isinstance(k, Real))
        own["usage"] = {n: k for n, k in counts if np.isfinite(float(k))}
        own["curves"] = dict(self.curves)
        checks: dict[str, Any] = {"ranges": check_range, "target_ranges": check_range}
        for kind, check in {**checks, "base_rates": check_rate}.items():
            pairs = own[kind].items()
            # Classes and columns may be numbers, as those of scores may.
            own[kind] = {str(name): check(r, repr(name)) for name, r in pairs}

    @classmethod
    def from_dict(
        cls, scores: Mapping[str, Any], output: str = DEFAULT_OUTPUT, **meta: Any
    ) -> FeaturePrior:
        """Build a prior from scores, or curves, by feature name.

        Parameters
        ----------
        scores : mapping
            ``{feature: score}``, or ``{output: {feature: score}}``. In place of a
            score, a list of (value, effect) pairs is a response curve.
        output : str, default="target"
            Name of the output, where `scores` does not name any.
        **meta
            Other fields of the prior, such as ``rationale``.

        Examples
        --------
        >>> FeaturePrior.from_dict({"cat": {"legs": 1}, "bird": {"legs": -9}}).outputs
        ('cat', 'bird')
        >>> FeaturePrior.from_dict({"glucose": [(70, -6), (126, 3), (200, 9)]}).curves
        {'glucose': ResponseCurve(values=[70, 126, 200], n_outputs=1)}
        """
        fields = average([scores], meta.pop("ranges", None))
        if fields["outputs"] == (DEFAULT_OUTPUT,):
            fields["outputs"] = (output,)
        return cls(**{**fields, "estimates": None, **meta})

    @classmethod
    def from_array(
        cls,
        scores: Any,
        features: Sequence[str],
        outputs: Sequence[str] | None = None,
        **meta: Any,
    ) -> FeaturePrior:
        """Build a prior from an array and the names of its columns.

        Parameters
        ----------
        scores : array-like of shape (n_features,) or (n_outputs, n_features)
            The scores.
        features : sequence of str
            A name for each column.
        outputs : sequence of str, default=None
            A name for each row; needed where there are several.
        **meta
            Other fields of the prior.

        Examples
        --------
        >>> FeaturePrior.from_array([1, -2], ["age", "bmi"]).scores
        array([[ 1., -2.]])
        """
        table = np.atleast_2d(np.asarray(scores))
        if outputs is None and len(table) > 1:
            raise PriorMismatchError(
                f"A prior array of {len(table)} rows needs outputs=, a name per row."
            )
        return cls(tuple(features), table, tuple(outputs or [DEFAULT_OUTPUT]), **meta)

    @classmethod
    def from_estimates(
        cls, estimates: Sequence[Mapping[str, Any]], **meta: Any
    ) -> FeaturePrior:
        """Average independent answers to one questionnaire, and keep them.

        Parameters
        ----------
        estimates : sequence of mapping
            Each ``{output: {feature: score}}`` or ``{feature: score}``, with curves
            as in `from_dict`. A feature that some of them leave out is averaged over
            the others. Curves are averaged at the knots of all of them; where one
            answer has a score for a feature with a curve in another, the score is
            the straight line over the typical range.
        **meta
            Other fields of the prior, such as ``ranges``.

        Examples
        --------
        >>> prior = FeaturePrior.from_estimates([{"age": 2}, {"age": 4, "bmi": 1}])
        >>> prior.scores, prior.spread
        (array([[3., 1.]]), array([[1., 0.]]))
        """
        return cls(**average(estimates, meta.pop("ranges", None)), **meta)

    @property
    def spread(self) -> FloatArray | None:
        """Standard deviation of the estimates, of the shape of `scores`, or None."""
        return None if self.estimates is None else spread(self.estimates)

    def align(
        self,
        features: Sequence[Feature],
        outputs: Sequence[str],
        negative: str | None = None,
        aliases: bool = True,
    ) -> FeaturePrior:
        """Bring the scores into the order of a table, by name only.

        Parameters
        ----------
        features : sequence of Feature
            The columns of the table.
        outputs : sequence of str
            The outputs of the model. One output also takes a prior with one output
            of another name; several must all be there, and others are left out.
        negative : str or None, default=None
            The other class, where `outputs` is the positive one of two. A prior
            that scores only the negative class changes its sign.
        aliases : bool, default=True
            Whether ``num__age`` finds the score of ``age``, and ``sex_female`` and
            ``cat__sex_female`` that of ``sex=female``.

        Returns
        -------
        FeaturePrior
            A prior with exactly these features and outputs, NaN where it has no
            score; `missing` and `unknown` name the difference.

        Raises
        ------
        FeatureNamesError
            If two columns fit one score, or two scores one column.
        PriorMismatchError
            If the prior does not score the outputs.

        Examples
        --------
        >>> from llmreg import Feature
        >>> prior = FeaturePrior.from_dict({"age": 3, "bmi": 7})
        >>> found = prior.align([Feature("num__bmi"), Feature("fare")], ["yes"])
        >>> found.scores, found.missing, found.unknown
        (array([[ 7., nan]]), ('fare',), ('age',))
        """
        rows, sign = match_outputs(self.outputs, tuple(outputs), negative)
        keys = check_names([feature.key for feature in features], "feature")
        found = match(self.features, features, aliases)
        place = {key: column for column, key in enumerate(self.features)}
        columns = [-1 if key is None else place[key] for key in found.sources]
        sources = dict(zip(keys, found.sources, strict=True))
        curves = rename(self.curves, sources)
        if wrong := [
            f.key for f in features if f.level is not None and f.key in curves
        ]:
            raise PriorMismatchError(
                f"The prior has curves for {wrong!r}, which are levels and no numbers. "
                "Give a level a score: the effect of having it."
            )
        estimates, provenance = self.estimates, self.provenance
        if estimates is not None:
            estimates = take(estimates, rows, columns) * sign
        # Scores of the negative class are turned over; its name stays its own.
        named = {self.outputs[row]: new for row, new in zip(rows, outputs, strict=True)}
        if sign < 0:
            named = {}
            note = f"the scores were given for the class {negative!r}"
            provenance = {**provenance, "negated": note}
        return replace(
            self,
            features=keys,
            outputs=tuple(outputs),
            scores=take(self.scores, rows, columns) * sign,
            estimates=estimates,
            rationale=rename(self.rationale, sources),
            descriptions=rename(self.descriptions, sources),
            provenance=provenance,
            # Not those that are there without a score: no opinion is a choice too.
            missing=tuple(key for key, source in sources.items() if source is None),
            unknown=found.unknown,
            curves={key: curve.take(rows, sign) for key, curve in curves.items()},
            ranges=rename(self.ranges, sources),
            units=rename(self.units, sources),
            base_rates={named.get(k, k): r for k, r in self.base_rates.items()},
            target_ranges={named.get(k, k): r for k, r in self.target_ranges.items()},
        )

    def convert_units(
        self, factors: Mapping[str, float | tuple[float, float]]
    ) -> FeaturePrior:
        """Bring curves and typical ranges of features into other units.

        Parameters
        ----------
        factors : mapping of str to float or to (factor, offset)
            By feature: a value becomes ``factor * value + offset``.

        Returns
        -------
        FeaturePrior
            A prior that says the same of a table in these units. Units as texts are
            dropped; a score has none, and stays.

        Examples
        --------
        >>> prior = FeaturePrior.from_dict({"weight": [(50, -4), (100, 4)]})
        >>> prior.convert_units({"weight": 2.2}).curves["weight"].values.round(1)
        array([110., 220.])
        """
        if unknown := [name for name in factors if name not in self.features]:
            raise PriorMismatchError(
                f"The prior has no features {unknown!r}, so that their units cannot be "
                "converted."
            )
        curves, ranges = dict(self.curves), dict(self.ranges)
        for name, found in factors.items():
            change = check_change(found)
            if name in curves:
                curves[name] = curves[name].rescale(*change)
            if name in ranges:
                ranges[name] = rescale_range(ranges[name], *change)
        units = {name: unit for name, unit in self.units.items() if name not in factors}
        return replace(self, curves=curves, ranges=ranges, units=units)

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> FeaturePrior:
        """Read a prior card, or a recorded elicitation, from a JSON file in UTF-8.

        The score on a card wins over the estimates behind it.

        Raises
        ------
        PriorCardError
            If the file is not there or is no prior card.
        """
        try:
            text = expand(path).read_text(encoding="utf-8-sig")
        except (OSError, ValueError) as e:
            raise PriorCardError(
                f"The prior card {os.fspath(path)!r} cannot be read: {e}. Check the "
                "path, and that it is a JSON file in UTF-8."
            ) from e
        return cls.from_json(text)

    def write(self, path: str | os.PathLike[str]) -> None:
        """Write a prior card to a file, which is replaced if it is there."""
        write_text(path, self.to_json())

    @classmethod
    def from_json(cls, text: str) -> FeaturePrior:
        """Read the JSON text of a prior card, or of a recorded elicitation."""
        return cls(**parse_card(text))

    def to_json(self) -> str:
        """Give the text of a prior card: JSON, one object per feature."""
        return format_card(vars(self))

    def __repr__(self) -> str:
        """Show the prior as a table, the strongest features first."""
        return format_text(vars(self))

    def _repr_html_(self) -> str:
        """Show the prior as a table in a notebook."""
        return format_html(vars(self))

    def __reduce__(self) -> tuple[Any, ...]:
        """Copy and unpickle through the constructor, which freezes the arrays."""
        return type(self), tuple(getattr(self, f.name) for f in fields(self))

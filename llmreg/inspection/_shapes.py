"""The shapes of an additive model: what was said of every column, and learnt."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from html import escape
from typing import Any

import numpy as np

from llmreg._utils._text import for_notebook, html_table, list_names, number, shorten
from llmreg.exceptions import CoefficientsError
from llmreg.inspection._plotting import check_estimator
from llmreg.linear_model._trust import each_trust
from llmreg.nn._additive import AdditiveModel
from llmreg.nn._factory import CorrectedModel
from llmreg.nn._net import LinearModel
from llmreg.preprocessing._basis import is_code
from llmreg.preprocessing._sparse import to_dense
from llmreg.preprocessing._validation import check_table
from llmreg.prior._curves import MAX_KNOTS, ResponseCurve
from llmreg.prior._formatting import format_svg, show_value
from llmreg.prior._scores import SCORE_LIMIT, TypicalRange

# Probabilities at which a typical range stands in for rows.
_LEVELS = np.linspace(0.05, 0.95, 37)
# A scaler of the user's own may bend a line.
_N_BENT = 41


@dataclass(frozen=True, eq=False)
class Shape:
    """The effect of a column, by value or by level, as `shapes` gives it.

    Heights are in log-odds, or in the units of the target, and 0 in the mean of the
    rows. A number's are straight between its values, and flat beyond those of a curve.

    Parameters
    ----------
    values : ndarray of shape (n_values,) or tuple of str
        The knots, in the units of the column, or the levels.
    learnt, said : ndarray of shape (n_outputs, n_values)
        The height of what the model has learnt, and of what the prior says, NaN without
        an opinion, times a length that all its columns share: with it they vary as much
        as what was learnt.
    deviations : ndarray of shape (n_outputs, n_values) or None
        Standard deviation of `learnt` after the rows, around its mean over those of the
        training, where the model keeps it: of an additive model.
    special : dict of float to ndarray of shape (2, n_outputs)
        What was learnt and said of codes that lie beside the curve.
    rows : ndarray or None
        The values in the table, or how many rows have each level; None without one.
    special_deviations : dict of float to ndarray of shape (n_outputs,)
        Standard deviation of what was learnt of codes, where the model keeps it.

    Examples
    --------
    >>> import numpy as np
    >>> from llmreg.inspection import Shape
    >>> Shape(np.array([18.0, 65.0]), np.array([[-1.0, 1.0]]), np.array([[-2, 2]]))(30)
    array([-0.4893617])
    """

    values: Any
    learnt: np.ndarray
    said: np.ndarray
    deviations: np.ndarray | None = None
    special: Mapping[float, np.ndarray] = field(default_factory=dict)
    rows: np.ndarray | None = None
    special_deviations: Mapping[float, np.ndarray] = field(default_factory=dict)

    @property
    def is_levels(self) -> bool:
        """Whether the column has levels, and no numbers."""
        return isinstance(self.values, tuple)

    def __call__(self, x: Any) -> np.ndarray:
        """Return the learnt heights of some numbers, (n_outputs, ...); codes aside."""
        return np.array([np.interp(x, self.values, row) for row in self.learnt])

    def _show(self, heights: np.ndarray, limit: float) -> str:
        """Write heights as markup: those of numbers as a drawing, up to a limit."""
        if self.is_levels:
            told = (
                f"{shorten(level, 20)} " + " / ".join(number(h, "+.2g") for h in column)
                for level, column in zip(self.values, heights.T, strict=True)
            )
            return escape(list_names(told, 6, str))
        knots = np.unique(np.linspace(0, len(self.values) - 1, MAX_KNOTS).astype(int))
        scaled = SCORE_LIMIT * heights[:, knots] / limit
        curve = ResponseCurve(self.values[knots], scaled)
        return format_svg(curve, None, SCORE_LIMIT)

    def _moments(self, typical: TypicalRange | None) -> Any:
        """Give means of what was learnt and said, and variances: (2, n_outputs)."""
        table = np.stack([self.learnt, self.said])
        if self.is_levels:
            at, share = table, self.rows
            if share is None or not share.any():
                share = np.ones(len(self.values))
        else:
            rows = self.rows
            if rows is None and typical is not None:
                rows = np.interp(_LEVELS, [0.05, 0.5, 0.95], typical[:3])
            elif rows is None:
                rows = np.linspace(self.values[0], self.values[-1], len(_LEVELS))
            share = np.ones(len(rows))
            at = np.array([[np.interp(rows, self.values, r) for r in t] for t in table])
            for code, found in self.special.items():
                at[:, :, is_code(rows, code)] = found[:, :, None]
        known = ~np.isnan(at)
        # Of one level alone what was said is the difference to the others.
        known |= self.is_levels & (known.sum(axis=2, keepdims=True) == 1)
        share = share * known
        with np.errstate(invalid="ignore"):  # Nothing is said: 0 / 0.
            share = share / share.sum(axis=2, keepdims=True)
        # A level without an opinion has no part in what was said.
        at = np.where(np.isnan(at), 0.0, at)
        mean = (share * at).sum(axis=2)
        return mean, (share * (at - mean[:, :, None]) ** 2).sum(axis=2)

    def _move(self, mean: np.ndarray, length: np.ndarray) -> Shape:
        """Take means off, and bring what was said to a length."""
        special = {code: found - mean for code, found in self.special.items()}
        for found in special.values():
            found[1] *= length
        return replace(
            self,
            learnt=self.learnt - mean[0][:, None],
            said=(self.said - mean[1][:, None]) * length[:, None],
            special=special,
        )


class Shapes(dict[str, Shape]):
    """Shapes by column; a notebook shows them as drawings of one scale."""

    def _repr_html_(self) -> str:
        numbers = [shape for shape in self.values() if not shape.is_levels]
        tops = [np.nan_to_num(np.abs([s.said, s.learnt])).max() for s in numbers]
        limit = max([1e-9, *tops])
        rows = []
        for name, shape in self.items():
            row = [shape._show(y, limit) for y in (shape.said, shape.learnt)]
            ends = () if shape.is_levels else map(show_value, shape.values[[0, -1]])
            rows.append([escape(shorten(name, 40)), *row, " to ".join(ends)])
        return for_notebook(html_table(("column", "said", "learnt", "values"), rows))


def shapes(model: Any, X: Any = None) -> dict[str, Shape]:
    """Give what was said and what was learnt of every column of an additive model.

    The model is a sum of them. Of a linear model they are straight. Hidden layers and
    modules that correct one are left out: the shapes are those of what they correct.

    Parameters
    ----------
    model : LLMAttributionClassifier or LLMAttributionRegressor
        A fitted estimator, linear or with ``gamma="auto"``.
    X : DataFrame or array-like of shape (n_samples, n_features), default=None
        Rows to centre the shapes over; without them the typical range of a column, or
        else all values of its shape, stand in for them, and all levels alike.

    Returns
    -------
    dict of str to Shape
        By the name of the column; without those that were constant in training.

    Raises
    ------
    TypeError, NotFittedError
        If `model` is no fitted estimator of llmreg.
    CoefficientsError
        If it is no sum of shapes.

    Examples
    --------
    >>> from llmreg import LLMAttributionRegressor
    >>> from llmreg.inspection import shapes
    >>> X, y = [[20, 1], [30, 4], [40, 2], [50, 3]], [1, 3, 3, 5]
    >>> model = LLMAttributionRegressor({"age": [(20, -4), (50, 4)]})
    >>> found = shapes(model.set_params(feature_names=["age", "shoe"]).fit(X, y), X)
    >>> found["age"].values, found["age"].learnt.round(1)
    (array([20., 50.]), array([[-1.6,  1.6]]))
    """
    check_estimator(model, "shapes")
    module = model.net_.module_
    if isinstance(module, CorrectedModel):
        module = module.linear
    if not isinstance(module, LinearModel | AdditiveModel):
        raise CoefficientsError(
            "Only a sum of shapes can be drawn as shapes; this model holds a "
            f'{type(module).__name__}. Fit one with hidden_layer_sizes=() or gamma="'
            'auto"; attributions_ has a value for each encoded column of any model.'
        )
    prior = model.prior_
    ranges = prior.ranges if prior is not None else {}
    found = _Reader(model, module, X).read()
    moments = {name: shape._moments(ranges.get(name)) for name, shape in found.items()}
    total = sum(
        np.where(np.isnan(var[1]), 0.0, var) for _, var in moments.values()
    ) + np.zeros((2, model._n_outputs()))
    if model._loss_name() != "regression":
        # Classes have one length; a target has one of its own.
        total = np.broadcast_to(total.sum(axis=1, keepdims=True), total.shape)
    length = np.sqrt(
        np.divide(total[0], total[1], out=np.ones(total.shape[1]), where=total[1] > 0)
    )
    return Shapes(
        (name, shape._move(moments[name][0], length)) for name, shape in found.items()
    )


class _Reader:
    """The weights of a model, column by column."""

    def __init__(self, model: Any, module: Any, X: Any) -> None:
        scaler = getattr(model, "target_scaler_", None)
        self.unit = 1.0 if scaler is None else scaler.scale_[:, None]
        self.encoder, self.prior = model.encoder_, model.prior_
        self.basis: Any = getattr(module, "basis", None)
        state = {name: t.cpu().numpy() for name, t in module.state_dict().items()}
        self.state = {name: t.astype(np.float64) for name, t in state.items()}
        self.learnt = self.state["weight"]
        self.said = np.full_like(self.learnt, np.nan)
        if self.prior is not None:
            said = model.net_.criterion_.direction.cpu().numpy()
            said = said if self.basis is None else self.basis.effects
            self.said = np.where(np.isnan(self.prior.scores), np.nan, said)
        self.rows = None
        if X is not None:
            self.rows = to_dense(
                self.encoder.encode(check_table(model, X, reset=False))
            )
        found = (trust.shape_deviations for trust in each_trust(model.trust_))
        known = [deviations for deviations in found if deviations is not None]
        self.deviations = None
        if self.basis is not None and known:
            self.deviations = np.concatenate(known) * self.unit

    def read(self) -> dict[str, Shape]:
        """Give the shapes by name, not centred yet."""
        found: dict[str, Shape] = {}
        levels: dict[str, list[int]] = {}
        place = 0
        for j, column in enumerate(self.encoder.columns_):
            if column.level is not None:
                levels.setdefault(column.name, []).append(j)
                continue
            has_curve = self.basis is not None and j in self.basis.columns
            shape = (self._curve if has_curve else self._line)(j, place)
            if np.isfinite(shape.values).all():
                found[column.name] = shape
            place += 1
        return found | {name: self._levels(places) for name, places in levels.items()}

    def _curve(self, j: int, place: int) -> Shape:
        basis = self.basis
        curve = int(np.flatnonzero(basis.columns == j)[0])
        own = np.flatnonzero(basis.curve_of == curve)
        codes = [i for i, (number, _) in enumerate(basis.codes) if number == curve]
        knots = np.append(basis.low[own], basis.high[own[-1]])
        steps = np.stack([self.state["steps"], basis.steps])[:, :, own]
        at_codes = np.stack([self.state["code_steps"], basis.code_steps])
        heights = np.cumsum(np.insert(steps, 0, 0.0, axis=2), axis=2) * self.unit
        effects = self.prior.curves[self.prior.features[j]].effects
        heights[1, np.isnan(effects).all(axis=1)] = np.nan
        values = self._decode([basis.codes[i][1] for i in codes], place).tolist()
        spread = self._deviations(-1, [len(basis.low) + i for i in codes])
        sure = {} if spread is None else dict(zip(values, spread.T, strict=True))
        beside = at_codes[:, :, codes] * self.unit
        return Shape(
            self._decode(knots, place),
            heights[0],
            heights[1],
            deviations=self._deviations(j, own),
            special=dict(zip(values, np.moveaxis(beside, 2, 0), strict=True)),
            rows=self._rows(j, place),
            special_deviations=sure,
        )

    def _line(self, j: int, place: int) -> Shape:
        scaler = self.encoder.scaler
        ends = (-2, 2) if scaler == "standard" else (0, 1)
        is_straight = scaler is None or isinstance(scaler, str)
        knots = np.linspace(*ends, 2 if is_straight else _N_BENT)
        spread = (
            self._deviations(j, self._weights([j])) if isinstance(scaler, str) else None
        )
        if spread is not None:
            # Of 0 and 1. The rows are between on average: of that mean there is none.
            total = spread.sum(axis=1, keepdims=True)
            mean = spread[:, 0].sum() / total.sum()
            knots = np.union1d(knots, mean)
            spread = total * np.abs(knots - mean)
        learnt, said = (w[:, [j]] * knots * self.unit for w in (self.learnt, self.said))
        rows = self._rows(j, place)
        return Shape(self._decode(knots, place), learnt, said, spread, rows=rows)

    def _levels(self, places: list[int]) -> Shape:
        names = tuple(self.encoder.columns_[j].level for j in places)
        learnt, said = (w[:, places] * self.unit for w in (self.learnt, self.said))
        rows = None if self.rows is None else self.rows[:, places].sum(axis=0)
        found = self._deviations(-1, self._weights(places))
        return Shape(names, learnt, said, deviations=found, rows=rows)

    def _weights(self, places: list[int]) -> list[int]:
        """Find columns without a curve among weights: after segments and codes."""
        if self.basis is None:
            return places
        n_own = len(self.basis.low) + len(self.basis.codes)
        return [n_own + j - int((self.basis.columns < j).sum()) for j in places]

    def _deviations(self, j: int, places: Any) -> np.ndarray | None:
        """Give those of where a column begins, and of heights that weights lead to."""
        if self.deviations is None:
            return None
        n_features = self.basis.feature_of.max() + 1
        first = [] if j < 0 else [self.basis.feature_of[j]]
        return self.deviations[:, [*first, *(n_features + np.asarray(places))]]

    def _rows(self, j: int, place: int) -> np.ndarray | None:
        return None if self.rows is None else self._decode(self.rows[:, j], place)

    def _decode(self, encoded: Any, place: int) -> np.ndarray:
        """Turn encoded values of a numeric column into its own units."""
        scaler, encoded = self.encoder.scaler_, np.asarray(encoded, dtype=np.float64)
        if scaler is None or not len(encoded):
            return encoded
        n_numeric = sum(column.level is None for column in self.encoder.columns_)
        table = np.zeros((len(encoded), n_numeric))
        table[:, place] = encoded
        # Of what was constant in training nothing comes back.
        with np.errstate(all="ignore"):
            return np.asarray(scaler.inverse_transform(table))[:, place]

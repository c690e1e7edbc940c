"""The additive model, and the slopes of a prior's curves that it is aligned with."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from llmreg.preprocessing._basis import CODE_WIDTH, CurveBasis, is_code


class _Segments(nn.Module):
    """Where rows lie among the knots of curves.

    A row at a knot is in the segment to its right, at the last one in that to its left.
    """

    low: Tensor
    high: Tensor
    is_last: Tensor
    code_values: Tensor

    def __init__(self, basis: CurveBasis) -> None:
        super().__init__()
        self.basis = basis
        values = [value for _, value in basis.codes]
        for name, values_of in {
            "low": basis.low,
            "high": basis.high,
            "is_last": np.append(np.diff(basis.curve_of), 1) > 0,
            "code_values": np.array(values, dtype=np.float64),
        }.items():
            self.register_buffer(name, torch.as_tensor(values_of))

    def of_segments(self, X: Tensor) -> Tensor:
        """Return for each segment the column that it is of, (n_rows, n_segments)."""
        basis = self.basis
        return X[:, torch.as_tensor(basis.columns[basis.curve_of], device=X.device)]

    def at_codes(self, X: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Tell for each code which rows have it, and which segments of theirs."""
        found = []
        for (curve, _), value in zip(self.basis.codes, self.code_values, strict=True):
            at_code = is_code(X[:, self.basis.columns[curve]], value)
            own = torch.as_tensor(self.basis.curve_of == curve, device=X.device)
            found.append((at_code, at_code[:, None] & own))
        return found

    def within(self, X: Tensor) -> Tensor:
        """Tell which segment of every curve rows are in, (n_rows, n_segments)."""
        values = self.of_segments(X)
        below = (values < self.high) | (self.is_last & (values == self.high))
        return (values >= self.low) & below


class AdditiveModel(_Segments):
    """A sum of shapes, each straight between knots and flat beyond them.

    Columns with a curve have `steps`, the rise of each segment, of shape (n_outputs,
    n_segments); codes have a step of their own, in place of the curve; other columns
    have a `weight`, of shape (n_outputs, n_columns), which is 0 for those with a curve.

    Parameters
    ----------
    basis : CurveBasis
        Where the shapes bend.
    n_features : int
        Number of columns.
    n_outputs : int
        Number of outputs.
    """

    is_plain: Tensor

    def __init__(self, basis: CurveBasis, n_features: int, n_outputs: int) -> None:
        super().__init__(basis)
        # A training loop begins where the curves are.
        begin = (basis.effects, basis.steps, basis.code_steps)
        # Solvers see weights as vectors, without copying them.
        parts = [nn.Parameter(torch.tensor(part).contiguous()) for part in begin]
        self.weight, self.steps, self.code_steps = parts
        self.bias = nn.Parameter(torch.zeros(n_outputs))
        is_plain = np.ones(n_features)
        is_plain[basis.columns] = 0.0
        self.register_buffer("is_plain", torch.as_tensor(is_plain))

    def forward(self, X: Tensor) -> Tensor:
        """Return the outputs for rows, (n_samples, n_outputs)."""
        values = self.of_segments(X)
        through = ((values - self.low) / (self.high - self.low)).clamp(0, 1)
        # At a knot the gradient is that of one segment, not of both.
        through = torch.where((values >= self.high) & ~self.is_last, 1.0, through)
        outputs: Tensor = (X * self.is_plain) @ self.weight.T + self.bias
        for number, (at_code, own) in enumerate(self.at_codes(X)):
            through = torch.where(own, 0.0, through)
            outputs = outputs + at_code[:, None] * self.code_steps[:, number]
        return outputs + through @ self.steps.T

    def of_sparse(self, X: Any) -> np.ndarray:
        """Return what `forward` does, for sparse rows."""
        plain = self.weight[:, self.is_plain > 0]
        weights = torch.cat([self.steps, self.code_steps, plain], 1).cpu().numpy()
        outputs = self.basis.design(X, weights.dtype) @ weights.T
        return np.asarray(outputs + self.bias.cpu().numpy(), weights.dtype)

    def on_rows(self, X: Tensor) -> tuple[Callable[[], Tensor], Callable[[], Tensor]]:
        """Return what makes outputs at rows, and their gradients, again and again.

        As `forward` and its derivatives do, but what is of the rows alone is made once.
        """
        table = torch.as_tensor(self.basis.design(X.cpu().numpy())).to(X)
        columns = torch.as_tensor(self.basis.columns, device=X.device)
        plain = torch.nonzero(self.is_plain)[:, 0]
        number, lengths = torch.as_tensor(self.basis.curve_of), self.high - self.low
        # The segment of every curve that a row is in; the one beyond all is flat.
        place = torch.full((len(X), len(columns)), len(lengths), device=X.device)
        within = self.within(X)
        for _, own in self.at_codes(X):
            within &= ~own
        rows, segments = torch.nonzero(within, as_tuple=True)
        place[rows, number.to(X.device)[segments]] = segments

        def outputs() -> Tensor:
            coef = torch.cat([self.steps, self.code_steps, self.weight[:, plain]], 1)
            return table @ coef.T + self.bias

        def gradients() -> Tensor:
            slopes = nn.functional.pad(self.steps / lengths, (0, 1))
            if place.is_cuda:
                # There the gradient of the other adds up in an order of its own.
                of_curves = slopes[:, place]
            else:
                of_curves = slopes.index_select(1, place.ravel())
            of_curves = of_curves.view(-1, *place.shape)
            found = (self.weight * self.is_plain).expand(len(X), -1, -1)
            return found.index_copy(2, columns, of_curves.transpose(0, 1))

        return outputs, gradients

    def shape(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """Return where the shape of a curve bends, encoded, and its heights there.

        Of shape (n_bends,) and (n_outputs, n_bends). Where a code begins and ends
        there are bends with no number between them.
        """
        basis, own = self.basis, self.basis.curve_of == number
        own_codes = [k for k, (curve, _) in enumerate(basis.codes) if curve == number]
        places = [*basis.low[own], basis.high[own][-1]]
        for k in own_codes:
            for end in basis.codes[k][1] - CODE_WIDTH, basis.codes[k][1] + CODE_WIDTH:
                places += [*np.nextafter(end, [-np.inf, end, np.inf])]
        if own_codes:
            places += [min(places) - CODE_WIDTH, max(places) + CODE_WIDTH]
        bends = np.unique(places)
        rows = np.zeros((len(bends), len(self.is_plain)))
        rows[:, basis.columns[number]] = bends
        design = basis.design(rows)
        parts = design[:, : len(own)][:, own], design[:, len(own) :][:, own_codes]
        steps, code_steps = (
            values.detach().cpu().numpy().astype(np.float64)
            for values in (self.steps[:, own], self.code_steps[:, own_codes])
        )
        return bends, steps @ parts[0].T + code_steps @ parts[1].T

    def mean_slopes(self, X: Any, sample_weight: np.ndarray) -> Tensor:
        """Return the mean gradient over rows, of shape (n_outputs, n_columns)."""
        steps = self.steps.detach().cpu().numpy().astype(np.float64)
        mean = self.weight.detach() * self.is_plain
        slopes = self.basis.mean_slopes(X, sample_weight, steps)
        mean[:, torch.as_tensor(self.basis.columns)] = torch.as_tensor(slopes).to(mean)
        return mean

    def state_of(self, coef: np.ndarray, intercept: np.ndarray) -> dict[str, Any]:
        """Return the state that has given weights: of segments, codes, then columns."""
        n_segments, n_codes = len(self.basis.low), len(self.basis.codes)
        steps, codes, plain = np.split(coef, [n_segments, n_segments + n_codes], axis=1)
        weight = np.zeros((len(coef), len(self.is_plain)))
        weight[:, self.is_plain.cpu().numpy() > 0] = plain
        found = {"weight": weight, "steps": steps, "code_steps": codes}
        state = {name: torch.as_tensor(v) for name, v in found.items()}
        return {**self.state_dict(), **state, "bias": torch.as_tensor(intercept)}


class CurveSlopes(_Segments):
    """What curves say of the attributions at a row: their slopes, in units of scores.

    A score is half of what a straight curve rises over the typical range. The slope at
    a row is half of what the curve would rise if all of it were as steep as there.
    Columns without a curve have their score.
    """

    table: Tensor
    plain: Tensor

    def __init__(self, basis: CurveBasis, scores: np.ndarray) -> None:
        super().__init__(basis)
        plain = np.nan_to_num(scores)
        plain[:, basis.columns] = 0.0
        # Steps are in tenths of effects, widths in typical ranges.
        slopes = 10 * basis.steps / (2 * basis.widths)
        table = np.zeros((len(basis.low), *plain.shape))
        column = basis.columns[basis.curve_of]
        table[np.arange(len(column)), :, column] = slopes.T
        self.register_buffer("table", torch.as_tensor(table))
        self.register_buffer("plain", torch.as_tensor(plain))
        # Rows in the middle of a segment of every curve, until all have had theirs.
        lengths = np.bincount(basis.curve_of)
        first = np.cumsum(lengths) - lengths
        numbers = np.arange(lengths.max())[:, None] % lengths + first
        anchors = np.zeros((lengths.max(), plain.shape[1]))
        anchors[:, basis.columns] = ((basis.low + basis.high) / 2)[numbers]
        self.register_buffer("anchors", torch.as_tensor(anchors))

    def forward(self, X: Tensor, n_steps: int = 0) -> Tensor:
        """Return the slopes at rows, of shape (n_samples, n_outputs, n_features).

        With `n_steps` their mean on the line from 0 to a row, at as many points.
        """
        found = torch.zeros_like(self.of_segments(X))
        for step in range(max(n_steps, 1)):
            found += self.within(X * ((step + 0.5) / n_steps if n_steps else 1))
        for _, own in self.at_codes(X):
            found = torch.where(own, 0.0, found)
        found = found / max(n_steps, 1)
        return torch.tensordot(found, self.table, dims=1) + self.plain

"""The additive model: a shape for every column with a curve, a weight for others."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from llmreg.preprocessing._basis import CODE_WIDTH, CurveBasis, is_code


class AdditiveModel(nn.Module):
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

    low: Tensor
    length: Tensor
    is_plain: Tensor
    code_values: Tensor

    def __init__(self, basis: CurveBasis, n_features: int, n_outputs: int) -> None:
        super().__init__()
        self.basis = basis
        self.weight = nn.Parameter(torch.zeros(n_outputs, n_features))
        self.steps = nn.Parameter(torch.zeros(n_outputs, len(basis.low)))
        self.code_steps = nn.Parameter(torch.zeros(n_outputs, len(basis.codes)))
        self.bias = nn.Parameter(torch.zeros(n_outputs))
        is_plain = np.ones(n_features)
        is_plain[basis.columns] = 0.0
        values = [value for _, value in basis.codes]
        for name, values_of in {
            "low": basis.low,
            "length": basis.high - basis.low,
            "is_plain": is_plain,
            "code_values": np.array(values, dtype=np.float64),
        }.items():
            self.register_buffer(name, torch.as_tensor(values_of))

    def forward(self, X: Tensor) -> Tensor:
        """Return the outputs for rows, (n_samples, n_outputs)."""
        basis = self.basis
        column = torch.as_tensor(basis.columns[basis.curve_of], device=X.device)
        through = (X[:, column] - self.low) / self.length
        # Half of the slope at either end, where clamp has all of it: at a knot the
        # attribution is the mean of both sides.
        zero, one = through.new_zeros(()), through.new_ones(())
        through = through.maximum(zero).minimum(one)
        outputs: Tensor = (X * self.is_plain) @ self.weight.T + self.bias
        for number, (curve, _) in enumerate(basis.codes):
            value = self.code_values[number]
            at_code = is_code(X[:, basis.columns[curve]], value)
            own = torch.as_tensor(basis.curve_of == curve, device=X.device)
            through = torch.where(at_code[:, None] & own, 0.0, through)
            outputs = outputs + at_code[:, None] * self.code_steps[:, number]
        return outputs + through @ self.steps.T

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
        parts = basis.segments(rows)[:, own], basis.at_codes(rows)[:, own_codes]
        steps, code_steps = (
            values.detach().cpu().numpy().astype(np.float64)
            for values in (self.steps[:, own], self.code_steps[:, own_codes])
        )
        return bends, steps @ parts[0].T + code_steps @ parts[1].T

    def state_of(self, coef: np.ndarray, intercept: np.ndarray) -> dict[str, Any]:
        """Return the state that has given weights: of segments, codes, then columns."""
        n_segments, n_codes = len(self.basis.low), len(self.basis.codes)
        steps, codes, plain = np.split(coef, [n_segments, n_segments + n_codes], axis=1)
        weight = np.zeros((len(coef), len(self.is_plain)))
        weight[:, self.is_plain.cpu().numpy() > 0] = plain
        found = {"weight": weight, "steps": steps, "code_steps": codes}
        state = {name: torch.as_tensor(v) for name, v in found.items()}
        return {**self.state_dict(), **state, "bias": torch.as_tensor(intercept)}

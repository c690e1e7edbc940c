"""Outputs of many rows, block by block."""

import pytest
import torch

from llmreg.nn._members import in_blocks


@pytest.mark.parametrize("n_rows", [1, 3, 7, 20])
@pytest.mark.parametrize("dim", [0, 1])
def test_blocks_give_what_all_rows_give(n_rows, dim):
    X = torch.arange(14.0).reshape(7, 2)
    seen = []

    def run(block):
        seen.append(len(block))
        outputs = block.cumsum(dim=1)
        return outputs if dim == 0 else torch.stack([outputs, -outputs])

    found = in_blocks(run, X, n_rows, dim)
    assert sum(seen) == 7
    assert max(seen) <= n_rows
    torch.testing.assert_close(found, run(X))


def test_no_rows_have_no_outputs():
    assert in_blocks(lambda block: block[:, :1], torch.empty(0, 2), 4).shape == (0, 1)

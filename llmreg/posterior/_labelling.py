"""Which rows to label next: those that tell most about the predictions of all rows."""

import numpy as np

# Rows of a large pool for which predictions are to become more certain.
_N_SHOWN = 1_000


def expected_reduction(
    factors: np.ndarray, noise: np.ndarray, slope: np.ndarray
) -> np.ndarray:
    """Return how much less uncertain predictions are expected to be, (n_rows,).

    It is what the label of each row alone takes off the variance of a prediction, on
    average over the rows. The reduction depends on which row it is and not on its
    label, for outputs that are normal: `factors`, (n_outputs, n_rows, n_elements). A
    label is an output with a variance of `noise`, and a prediction moves by `slope`
    with it, both (n_rows, n_outputs).
    """
    n_rows = factors.shape[1]
    shown: np.ndarray | slice = slice(None)
    if n_rows > _N_SHOWN:
        # The same for every call.
        shown = np.random.default_rng(0).choice(n_rows, _N_SHOWN, replace=False)
    found = np.zeros(n_rows)
    for factor, own, by in zip(factors, noise.T, slope.T, strict=True):
        moved = factor[shown] * by[shown, None]
        squares = np.linalg.multi_dot([factor, moved.T, moved]) * factor
        found += squares.sum(axis=1) / ((factor**2).sum(axis=1) + own)
    return found / min(n_rows, _N_SHOWN)


def pick(
    factors: np.ndarray, noise: np.ndarray, slope: np.ndarray, n_picked: int
) -> np.ndarray:
    """Pick rows one after the other, each as if those before it had a label."""
    picked: list[int] = []
    for _ in range(n_picked):
        found = expected_reduction(factors, noise, slope)
        found[picked] = -1
        picked.append(int(found.argmax()))
        factors = _labelled(factors, picked[-1], noise[picked[-1]])
    return np.array(picked, dtype=np.intp)


def _labelled(factors: np.ndarray, row: int, noise: np.ndarray) -> np.ndarray:
    """Return the factors of all rows once one of them has a label."""
    along = factors[:, row]
    before = (along**2).sum(axis=1)
    share = np.sqrt(noise / (before + noise)) - 1
    share = np.divide(share, before, out=np.zeros_like(share), where=before > 0)
    moved = np.einsum("kne,ke->kn", factors, along * share[:, None])
    changed: np.ndarray = factors + moved[..., None] * along[:, None]
    return changed

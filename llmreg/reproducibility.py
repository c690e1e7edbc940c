"""The same seed, the same bits: serially, under threads and under processes."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch

_RANDOM_STATE_LOCK = threading.RLock()


@contextmanager
def torch_seed(seed: int, device: str = "cpu") -> Iterator[None]:
    """Seed torch's global generators for a block, and put their state back.

    Fits in other threads wait for the block to end: the generators belong to the
    whole process, and two fits that draw from one generator get different numbers
    every time.

    Parameters
    ----------
    seed : int
        The seed.
    device : str, default="cpu"
        Device whose generator is seeded beside the CPU's.

    Examples
    --------
    >>> import torch
    >>> from llmreg.reproducibility import torch_seed
    >>> with torch_seed(0):
    ...     first = torch.rand(1)
    >>> with torch_seed(0):
    ...     bool(first == torch.rand(1))
    True
    """
    is_cuda = device.startswith("cuda")
    index = torch.device(device).index or 0
    with (
        _RANDOM_STATE_LOCK,
        torch.random.fork_rng(devices=[index] if is_cuda else []),
    ):
        torch.manual_seed(seed)
        yield


class ThreadLimit:
    """Hold the number of torch's compute threads for a block.

    How a sum is shared out among threads decides its last bits, and joblib gives
    its worker processes fewer threads than the parent has. The number belongs to
    the whole process, so it is put back when the last of several overlapping
    blocks ends.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._n_active = 0
        self._n_before = 1

    @contextmanager
    def __call__(self, n_threads: int) -> Iterator[None]:
        """Hold the number at `n_threads`."""
        with self._lock:
            if self._n_active == 0:
                self._n_before = torch.get_num_threads()
            self._n_active += 1
            # In every block, not just the first: OpenMP keeps a number a thread.
            if torch.get_num_threads() != n_threads:
                torch.set_num_threads(n_threads)
        try:
            yield
        finally:
            with self._lock:
                self._n_active -= 1
                if self._n_active == 0 and torch.get_num_threads() != self._n_before:
                    torch.set_num_threads(self._n_before)


limit_threads = ThreadLimit()

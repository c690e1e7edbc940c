"""The same seed, the same bits: serially, under threads and under processes."""

import functools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from threadpoolctl import ThreadpoolController

_RANDOM_STATE_LOCK = threading.RLock()


@contextmanager
def torch_seed(seed: int, device: str = "cpu") -> Iterator[None]:
    """Seed torch's global generators for a block; fits in other threads wait."""
    with _RANDOM_STATE_LOCK:
        if device == "cpu":
            # torch.manual_seed records a stack trace for every kind of device that is
            # not there, which takes most of the time of a small fit.
            before = torch.default_generator.get_state()
            torch.default_generator.manual_seed(seed)
            try:
                yield
            finally:
                torch.default_generator.set_state(before)
            return
        index = torch.device(device).index or 0
        with torch.random.fork_rng([index] if device.startswith("cuda") else []):
            torch.manual_seed(seed)
            yield


class ThreadLimit:
    """Hold the number of compute threads of a library for a block.

    It decides the last bits of a sum, and joblib gives its workers fewer. It belongs to
    the whole process, so the last of overlapping blocks puts it back.
    """

    def __init__(
        self,
        get: Callable[[], Any] = torch.get_num_threads,
        set_to: Callable[[Any], object] = torch.set_num_threads,
    ) -> None:
        self._get, self._set_to = get, set_to
        self._lock = threading.Lock()
        self._n_active = 0
        self._n_before: Any = 1

    @contextmanager
    def __call__(self, n_threads: int) -> Iterator[None]:
        """Hold the number at `n_threads`."""
        with self._lock:
            number = self._get()
            if self._n_active == 0:
                self._n_before = number
            self._n_active += 1
            # In every block, not just the first: OpenMP keeps a number a thread.
            if number != n_threads:
                self._set_to(n_threads)
        try:
            yield
        finally:
            with self._lock:
                self._n_active -= 1
                if self._n_active == 0 and self._n_before != n_threads:
                    self._set_to(self._n_before)


@functools.cache
def _libraries(kind: str) -> list[Any]:
    """Find the libraries that multiply matrices ("blas"), or grow trees ("openmp")."""
    return list(ThreadpoolController().select(user_api=kind).lib_controllers)


def _get_threads(kind: str) -> Any:
    """Return the number of threads, or the libraries' numbers where they differ."""
    numbers = tuple(library.get_num_threads() for library in _libraries(kind))
    return numbers[0] if len(set(numbers)) == 1 else numbers


def _set_threads(kind: str, numbers: Any) -> None:
    libraries = _libraries(kind)
    each = numbers if isinstance(numbers, tuple) else (numbers,) * len(libraries)
    for library, number in zip(libraries, each, strict=True):
        # OpenBLAS 0.3.31 obeys this one in every thread, and the usual one, which
        # threadpoolctl calls, in the main thread only, whatever it then reports.
        obeyed = getattr(library.dynlib, "openblas_set_num_threads_local", None)
        (obeyed or library.set_num_threads)(number)


limit_threads = ThreadLimit()
limit_blas, limit_openmp = (
    ThreadLimit(
        functools.partial(_get_threads, kind), functools.partial(_set_threads, kind)
    )
    for kind in ("blas", "openmp")
)

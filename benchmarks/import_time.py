"""What `import llmreg` costs over `import skorch`, in fresh processes, in turns.

python -m benchmarks.import_time
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

from benchmarks.console import echo

N_ROUNDS = 7


def seconds(module: str) -> float:
    """Time a fresh interpreter that imports a module.

    Parameters
    ----------
    module : str
        Name of the module.

    Returns
    -------
    float
        Seconds, the interpreter's own start included.
    """
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", f"import {module}"], check=True)
    return time.perf_counter() - start


def main() -> None:
    """Print the medians and the median of the differences."""
    seconds("skorch"), seconds("llmreg")  # fill the file cache
    rounds = [(seconds("skorch"), seconds("llmreg")) for _ in range(N_ROUNDS)]
    skorch, llmreg = (statistics.median(times) for times in zip(*rounds, strict=True))
    more = statistics.median(b - a for a, b in rounds)
    echo(f"import skorch {skorch:.2f} s, import llmreg {llmreg:.2f} s: {more:+.2f} s")


if __name__ == "__main__":
    main()

"""A table larger than the memory that is allowed is scored, part by part."""

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("dask.dataframe")

# What Linux says of the address space of a process, and nobody else.
pytestmark = pytest.mark.skipif(
    not Path("/proc/self/statm").exists(), reason="needs /proc"
)

# Too large for what was freed before, as tables of more than 32 MB are.
PARTS, ROWS, COLUMNS = 10, 10_000, 50  # 40 MB in all, 4 MB a part
MORE = 30 * 10**6

SCORE = f"""
import resource, sys
from pathlib import Path
import numpy as np, pandas as pd
import dask, dask.dataframe as dd
from llmreg import LLMAttributionClassifier

NAMES = [f"x{{i}}" for i in range({COLUMNS})]

def make(seed):
    rng = np.random.default_rng(seed)
    return pd.DataFrame(rng.random(({ROWS}, {COLUMNS})), columns=NAMES)

def score(part, model):
    return pd.DataFrame({{"chance": model.predict_proba(part)[:, 1]}}, index=part.index)

few = make(0)[:200]
model = LLMAttributionClassifier({{"x0": 5}}, device="cpu").fit(few, few["x0"] > 0.5)
score(few, model)  # what is loaded at the first call is loaded
table = dd.from_map(make, range({PARTS}), meta=few[:0])
sums = table.map_partitions(score, model, meta={{"chance": "float64"}})
table_sums = sums.map_partitions(lambda part: part.sum(), meta=("sum", "float64"))

now = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (now + {MORE}, now + {MORE}))
try:
    np.ones(({PARTS} * {ROWS}, {COLUMNS}))
except MemoryError:
    pass
else:
    sys.exit("the whole table fits")
with dask.config.set(scheduler="synchronous"):
    total = table_sums.compute().sum()
assert np.isclose(total / ({PARTS} * {ROWS}), 0.5, atol=0.05), total
"""


def test_dask_scores_a_table_that_does_not_fit():
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", SCORE],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]

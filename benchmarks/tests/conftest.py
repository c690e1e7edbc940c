"""What holds for every test of the benchmarks."""

import os

# Before torch and BLAS start: the tests run in as many processes as there are cores,
# and threads that wait for one another's cores take twice the time.
os.environ.setdefault("OMP_NUM_THREADS", "1")

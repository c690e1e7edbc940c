"""The tests of the benchmarks: `make test-benchmarks`."""

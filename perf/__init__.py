"""Benchmarks and comparisons; every figure in the README comes from `perf/results/`."""

"""Measures the numbers of docs/benchmarks.md, each beside its reference in the same run: `python -m bench`."""

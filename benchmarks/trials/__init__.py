"""Kinds of trials of `benchmarks/torture.py`, one a module: `trials(bench)` yields None or what was lost."""

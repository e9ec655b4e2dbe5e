"""Measurements behind the project's figures; run from a checkout: python -m benchmarks.rate, .speed, .memory, ..."""

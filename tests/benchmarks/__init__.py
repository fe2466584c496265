"""Speed beside the peers, in one process and one run: `python -m pytest tests/benchmarks --benchmark-only`."""

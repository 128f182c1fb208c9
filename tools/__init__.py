"""Entry points: the command line, the Python API, batches, benchmarks."""

"""What people call: the command line, the Python API, batches, benchmarks."""

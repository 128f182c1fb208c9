"""The Python API: run, batch, sweep, judge."""

"""Queues of jobs: batches and sweeps."""

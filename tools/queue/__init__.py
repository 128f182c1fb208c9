"""Many jobs in turn: batches and sweeps."""

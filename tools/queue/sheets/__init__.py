"""Contact sheets of sweeps."""

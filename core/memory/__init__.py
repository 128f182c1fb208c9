"""The memory that a result needs: estimates, limits, and the choice of tiles."""

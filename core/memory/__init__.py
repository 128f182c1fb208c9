"""Does it fit: estimates of a result's memory, and the choice of tiles."""

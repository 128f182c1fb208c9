"""Statistics of features, and distances between them, that the loss terms use."""

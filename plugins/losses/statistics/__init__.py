"""Statistics of features, and distances between them, that the loss terms are made of."""

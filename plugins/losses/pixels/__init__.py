"""Loss terms that read the pixels alone."""

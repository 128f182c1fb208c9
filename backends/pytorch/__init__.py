"""PyTorch as a feature backend."""

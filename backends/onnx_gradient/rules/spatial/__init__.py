"""The gradient rules of operators with windows or positions in space."""

"""Built-in loss terms, one module for each."""

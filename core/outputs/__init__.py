"""Output files: planned before the run, written whole, with the record of how they were made."""

"""Scripts for the maintainers; not in the wheel."""

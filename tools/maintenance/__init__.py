"""Scripts for maintainers, which are not in the wheel."""

"""`python -m stylectl`."""

from .tools.cli import main

main()

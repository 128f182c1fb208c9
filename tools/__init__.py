"""The command line: one module for each `stylectl` command, and the maintainers' scripts."""

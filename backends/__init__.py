"""The CNN runtimes; they know `core.interfaces` and nothing above it."""

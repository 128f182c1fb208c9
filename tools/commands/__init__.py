"""The commands of `stylectl`, one module each."""

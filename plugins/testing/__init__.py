"""Test kits for plugin authors, imported from `stylectl.testing`."""

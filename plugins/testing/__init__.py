"""What `stylectl.testing` gives to the authors of plugins."""

"""What `stylectl plugins` does: plugins from the template, pip, checks of plugins."""

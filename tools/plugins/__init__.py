"""Parts of `stylectl plugins`: new plugins from the template, pip, checks."""

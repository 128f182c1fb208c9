"""Tables of the documentation that take long to make."""

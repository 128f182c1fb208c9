"""Votes of people on pairs of results: the page that asks for them, and what follows from them."""

"""Minimisation of the objective: optimizers, initialisers, parametrisations, recovery."""

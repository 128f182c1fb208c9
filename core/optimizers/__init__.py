"""How the objective is minimised: optimizers, initialisers, parametrisations, recovery."""

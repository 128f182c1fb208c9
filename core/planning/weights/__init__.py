"""Controls that scale the weights of the loss terms and of their layers."""

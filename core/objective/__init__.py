"""The objective: weighted losses, gradients at the layers, evaluation by tiles, CUDA graphs."""

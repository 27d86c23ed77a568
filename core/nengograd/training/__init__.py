"""Training: parameters, data, losses, the loop over epochs, gradients and files."""

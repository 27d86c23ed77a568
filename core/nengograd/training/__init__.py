"""What changes the parameters of a model, and what is needed for it."""

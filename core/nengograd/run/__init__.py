"""A program in motion: the step as a function of arrays, inputs, host operators, records."""

"""Running a program: the step function, inputs, host operators and records."""

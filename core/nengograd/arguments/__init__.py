"""What the arguments of public functions may be: a table, and the one check that reads it."""

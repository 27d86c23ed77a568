"""Arguments of public functions: a table of rules, and the one check that reads it."""

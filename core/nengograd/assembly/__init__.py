"""From a built Nengo model to a program: lowering, simplification, scheduling, layout."""

"""Models of other libraries converted into Nengo networks."""

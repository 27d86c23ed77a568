"""Building: Nengo's own build of a network, with the same work done once and ahead of its turn."""

"""Building: what Nengo makes of a network, by a shorter way where that gives the very same."""

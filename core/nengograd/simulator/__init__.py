"""What users see: the simulator and what belongs to it alone."""

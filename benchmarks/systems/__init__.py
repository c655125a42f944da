"""Whole jobs: against other systems, against their estimates, and on harder sets."""

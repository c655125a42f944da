"""Networks and their folder."""

import os

# Read when OpenMP is loaded: threads that wait give their core up, which on a shared machine is several times faster, but
# not before some microseconds, in which the next of many short tasks (a batch of the map equation) is handed out.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
os.environ.setdefault("GOMP_SPINCOUNT", "4000")

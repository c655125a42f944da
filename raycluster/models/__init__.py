"""Networks and their folder."""

import os

# Read when torch is loaded: threads that wait give their core up, which on a shared machine is several times faster.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

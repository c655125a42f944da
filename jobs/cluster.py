"""Embeddings in, identities out.

python jobs/cluster.py --input PATH_OR_URL --output RUN_URL [options]
"""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))  # the checkout that this job is part of

from raycluster.command_line import run
from raycluster.commands import load

if __name__ == "__main__":
    run(load("cluster"), sys.argv[1:], "jobs/cluster.py")

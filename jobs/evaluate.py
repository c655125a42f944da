"""A finished run against true identities.

python jobs/evaluate.py --run RUN_URL --truth FILE [options]
"""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))  # the checkout that this job is part of

from raycluster.command_line import run
from raycluster.commands import load

if __name__ == "__main__":
    run(load("evaluate"), sys.argv[1:], "jobs/evaluate.py")

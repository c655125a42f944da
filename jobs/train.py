"""Labelled embeddings in, a trained model out.

python jobs/train.py --input PARQUET... --recipe NAME --output MODEL
"""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))  # the checkout that this job is part of

from raycluster.command_line import run
from raycluster.commands import load

if __name__ == "__main__":
    run(load("train"), sys.argv[1:], "jobs/train.py")

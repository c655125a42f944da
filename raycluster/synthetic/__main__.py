"""Write a generated set of identities.

python -m raycluster.synthetic --preset demo --output FOLDER
"""

import sys

from raycluster.command_line import run
from raycluster.commands import load

if __name__ == "__main__":
    run(load("generate"), sys.argv[1:], "python -m raycluster.synthetic")

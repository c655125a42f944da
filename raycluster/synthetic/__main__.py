"""Write a generated set: python -m raycluster.synthetic --output FOLDER."""

from raycluster.command_line import run_job
from raycluster.commands.generate import SyntheticArgs, main

if __name__ == "__main__":
    run_job(SyntheticArgs, main)

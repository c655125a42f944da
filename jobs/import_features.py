"""Convert features, labels and neighbor lists of research formats to Parquet."""

from raycluster.command_line import run_job
from raycluster.commands.import_features import ImportArgs, main

if __name__ == "__main__":
    run_job(ImportArgs, main)

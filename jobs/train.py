"""Labelled embeddings in, a trained model out: python jobs/train.py --input PARQUET... --recipe NAME --output MODEL."""

from raycluster.command_line import run_job
from raycluster.commands.train import TrainArgs, train, with_recipe

if __name__ == "__main__":
    run_job(TrainArgs, train, with_recipe)

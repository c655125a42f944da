"""Convert features, labels and neighbor lists of research formats to the Parquet that the other jobs read."""

from raycluster.cli import run_job
from raycluster.importers import ImportArgs, import_features

if __name__ == "__main__":
    run_job(ImportArgs, import_features)

"""Convert features, labels and neighbor lists of research formats to the Parquet that the other jobs read."""

from raycluster.command_line import run_job
from raycluster.storage.feature_files import ImportArgs, import_features

if __name__ == "__main__":
    run_job(ImportArgs, import_features)

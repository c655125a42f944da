"""Embeddings in, identities out: python jobs/cluster.py --input PATH_OR_URL --output RUN_URL [options]."""

from raycluster.cli import run_job
from raycluster.job import ClusterArgs, cluster, with_recipe

if __name__ == "__main__":
    run_job(ClusterArgs, cluster, with_recipe)

"""Embeddings in, identities out: python jobs/cluster.py --input PATH_OR_URL --output RUN_URL [options]."""

from raycluster.command_line import run_job
from raycluster.commands.cluster import ClusterArgs, cluster, with_recipe

if __name__ == "__main__":
    run_job(ClusterArgs, cluster, with_recipe)

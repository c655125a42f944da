"""A finished run against true identities: python jobs/evaluate.py --run RUN_URL --truth PARQUET [options]."""

from raycluster.command_line import run_job
from raycluster.evaluation.evaluate import EvaluateArgs, evaluate

if __name__ == "__main__":
    run_job(EvaluateArgs, evaluate)

"""Find identities among embeddings, however many there are.

    embeddings -> knn -> topk -> relations -> edges -> communities -> rejoin -> labels

`raycluster.stages` holds one module per stage: pure functions on arrays. `Clusterer` runs them on an array in this process;
`cluster`, the console command and `jobs/cluster.py` run them over Parquet, in this process or on Ray.

Glossary
--------
row
    One embedding, a vector; it has an id.
neighbor
    A row of the K rows of highest cosine to a row. Rank 0 is the row itself.
similarity
    Cosine of two rows, -1..1.
score
    Learned probability, 0..1, that a row and its neighbor are of one identity.
edge, edge weight
    A pair of rows that passes the limit, and how much it counts.
cluster, identity
    Rows that the run puts together; rows that truly are one person, product or thing.
singleton
    A cluster of one row.
shard, task
    Consecutive rows that one worker computes at once; a shard, or one trial of a global step.
inverted list
    Rows that are nearest to one centroid.
Top-K
    How many of a row's neighbors to trust (S1).
NEP
    Neighbor-based edge probability: weighted Jaccard of two neighborhoods (S1 eq. 3).
eta, theta, threshold, closeness
    The limits of learned scores, of NEP, of similarity, and of density peaks.
valley
    The score between those of one identity and those of strangers at which a set has fewest pairs.
recipe
    A YAML file with the stages of a method and their settings.
"""

from typing import TYPE_CHECKING, Any

from raycluster._version import __version__

__all__ = ["Clusterer", "RayclusterError", "__version__", "cluster", "evaluate", "train"]

if TYPE_CHECKING:
    from raycluster.clusterer import Clusterer
    from raycluster.errors import RayclusterError
    from raycluster.evaluation.evaluate import evaluate


def __getattr__(name: str) -> Any:
    if name == "Clusterer":
        from raycluster.clusterer import Clusterer

        return Clusterer
    if name == "RayclusterError":
        from raycluster.errors import RayclusterError

        return RayclusterError
    if name == "evaluate":
        from raycluster.evaluation.evaluate import evaluate

        return evaluate
    raise AttributeError(f"module 'raycluster' has no attribute '{name}'")


def cluster(
    input: str | list[str],
    output: str,
    *,
    recipe: str = "auto",
    executor: str = "auto",
    shards: int | None = None,
    workers: int | None = None,
    **overrides: Any,
) -> dict[str, Any]:
    """Run the whole job: rows of Parquet files in, identities in a run folder out.

    Parameters
    ----------
    input
        Parquet files, folders or patterns, on disk or as s3://bucket/path.
    output
        Run folder. The same call goes on where an interrupted one stopped.
    recipe
        Name of a recipe, or path of a YAML file.
    executor, shards, workers
        Where and how the job runs; none of it changes a label.
    overrides
        Any other key of the configuration, by section, such as knn={"k": 40}.

    Returns
    -------
    dict
        The summary of the run.

    Raises
    ------
    RayclusterError
        One sentence on what the caller can mend, or on what storage did.
    """
    from typing import cast

    from raycluster.config.execution import Execution
    from raycluster.config.load import load_config
    from raycluster.pipeline import run

    execution = Execution(cast(Any, executor), shards, workers)
    return run.cluster(input, output, load_config(recipe, overrides, "overrides"), execution)


def train(input: str | list[str], output: str, *, recipe: str = "sdt-row", **overrides: Any) -> dict[str, Any]:
    """Train the networks of a recipe on labelled sets and write a model folder.

    Parameters
    ----------
    input
        Labelled sets: Parquet with the columns id, embedding and label.
    output
        Model folder. The same call goes on where an interrupted one stopped.
    recipe
        What to train.
    overrides
        Any other key of the configuration, by section; those of training under `training`.

    Returns
    -------
    dict
        Metrics, thresholds and time.
    """
    from raycluster.config.load import load_config, load_training
    from raycluster.training.job import TrainingRequest, train_model

    config, training = load_config(recipe, overrides, "overrides"), load_training(recipe, overrides, "overrides")
    inputs = (input,) if isinstance(input, str) else tuple(input)
    return dict(train_model(TrainingRequest(inputs, output, config, training)))

"""The pipeline, assembled once: run what is left of the stages on a set of tables.

The job on disk or in object storage, `Clusterer`, training, calibration and re-joining all come through `run_stages`. They
differ only in where tables lie. No stage is named here but the two ends of a published run.
"""

import contextlib
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

import pyarrow as pa

from raycluster.arrays import Array, Int32
from raycluster.config.execution import Execution
from raycluster.config.fitted import resolved_for
from raycluster.config.stages import Config
from raycluster.errors import ConfigError, InputError
from raycluster.executors.node_report import NodeReport, Sighted, report, require_alike
from raycluster.executors.progress import Progress, Silence
from raycluster.executors.sizing import joins_cluster, own_threads
from raycluster.models.arithmetic import for_stage, in_force
from raycluster.models.card import place
from raycluster.models.requirements import with_model
from raycluster.pipeline.arithmetic import ARITHMETIC, decided
from raycluster.pipeline.freed import free_all, free_read, free_unread, leave_cluster, watched
from raycluster.pipeline.one_stage import run_stage
from raycluster.pipeline.outlook import seconds_of
from raycluster.pipeline.own_objects import remove_unused
from raycluster.pipeline.plan import begin, stage_folders
from raycluster.pipeline.publish import publish
from raycluster.pipeline.repair import repaired
from raycluster.pipeline.results import finished_summary
from raycluster.stages import STAGES
from raycluster.stages.communities import identities_of
from raycluster.storage import node_cache
from raycluster.storage.array_tables import ArrayTables
from raycluster.storage.parquet_input import describe_input
from raycluster.storage.read_places import is_read
from raycluster.storage.records import InputDescription
from raycluster.storage.run_folder import RunFolder
from raycluster.storage.stored_tables import StoredTables
from raycluster.storage.tables import Facts, Tables, for_all

LOCAL = Execution("local")


def cluster(
    input_url: str | Sequence[str],
    output_url: str,
    config: Config,
    execution: Execution,
    finish: Callable[[StoredTables, dict[str, float]], Facts] = publish,
) -> Facts:
    """Run the whole job, or what is left of it; returns the run's summary.

    Parameters
    ----------
    input_url : str or sequence of str
        Parquet files or folders.
    output_url : str
        Run folder.
    config : Config
        What to do.
    execution : Execution
        Where and how.
    finish : callable
        Publishes the tables, with the seconds of every stage, and returns the summary.

    Raises
    ------
    InputError, ConfigError, ResourceError
        What the user can mend.
    StorageError
        What storage did.
    """
    progress = Progress()
    config = with_model(config)
    with opened(input_url, output_url, config, execution, progress) as tables:
        summary = finished_summary(tables.folder.store, progress.say)
        if summary is not None:
            progress.say(f"{output_url} is complete")
            return summary

        def work() -> Facts:
            run_stages(tables, execution, progress)
            return finish(tables, progress.seconds)

        return repaired(work, tables.folder, progress.say)


@contextlib.contextmanager
def opened(
    input_url: str | Sequence[str], output_url: str, config: Config, execution: Execution, progress: Progress
) -> Iterator[StoredTables]:
    """The tables of a run, new or taken up again.

    This node's copies are removed afterwards.

    A mistake in the input that shows before neighbors are searched leaves the folder as it was.

    Parameters
    ----------
    input_url
        Parquet files, folders or patterns.
    output_url
        The run folder.
    config
        Of the run.
    execution
        Executor, workers, threads and shards.
    progress
        Where lines and rows are shown.
    """
    described = describe_input(input_url)
    for url in [input_url] if isinstance(input_url, str) else input_url:
        if is_read(output_url, url):
            raise ConfigError(f"The run folder {output_url} lies in the input {url}, which it would change.")
    own, nodes = _reports(described, output_url, config, execution)
    folder, is_new = begin(output_url, described, config, execution.shards, execution.replan, progress.say)
    if dead := list(node_cache.take_over(folder)):
        progress.say(
            f"node-local copies of runs that died are removed: {', '.join(dead[:3])}{', ...' * (len(dead) > 3)}"
        )
    try:
        is_early = folder.store.get("MANIFEST.json") is not None and folder.store.get(ARITHMETIC) is None
        arithmetic = None if is_early else decided(folder.store, execution, own, nodes, progress.say)
        with in_force(arithmetic), watched(folder, execution):
            yield StoredTables(folder, own_threads(), cluster_rows)
    except InputError:
        if is_new and not folder.finished("knn"):
            remove_unused(folder)
        raise
    finally:
        free_all(folder, execution)


def _reports(
    described: InputDescription, output_url: str, config: Config, execution: Execution
) -> tuple[NodeReport, Sequence[NodeReport]]:
    """Return the reports of the driver and of the other nodes of a cluster.

    Nodes that do not see the folders, or have other versions, are refused.
    """
    own = report("of the driver")
    if not joins_cluster(execution):
        return own, []
    from raycluster.executors.probe import driver_is_worker, probe_nodes

    model_url = config.model if config.model is not None and place(config.model) == config.model else None
    with Sighted(described, output_url, model_url) as sight:
        nodes = probe_nodes(sight)
    require_alike(own, nodes)
    return replace(own, is_worker=driver_is_worker()), nodes


def open_run(url: str, threads: int | None = None) -> StoredTables:
    """Return the tables of the run folder at `url`.

    Raises StorageError where no run was started there.
    """
    return StoredTables(RunFolder(url, stage_folders), threads or own_threads(), cluster_rows)


def in_memory(
    vectors: Array, config: Config, threads: int, *, ids: pa.Array | None = None, name: str = "X"
) -> ArrayTables:
    """Return tables of unit rows (N, D) in this process, for `run_stages`.

    Parameters
    ----------
    vectors : floating (N, D)
        Unit rows; kept as `knn.storage` has them.
    config
        Of the run; what depends on N is resolved here.
    threads
        From 1 up; they change no label.
    ids : (N,), optional
        In the order of the rows; row numbers where none are passed.
    name
        Of the rows in messages.
    """
    config = resolved_for(config, len(vectors))
    return ArrayTables(
        vectors.astype(config.knn.storage, copy=False), config, threads, cluster_rows, ids=ids, name=name
    )


def fork(
    tables: Tables,
    config: Config,
    columns: Mapping[str, Mapping[str, Array]],
    facts: Mapping[str, Facts] | None = None,
    vectors: Array | None = None,
) -> ArrayTables:
    """Return tables in this process that start from results of other tables.

    They are of the same rows at another configuration.

    Parameters
    ----------
    columns
        Results that are there already, by stage and column. Whatever these stages read counts as done as well.
    facts
        What stages found out once, by stage; the others compute it.
    vectors
        Unit rows, where few of them are read; none reads all.
    """
    given = _with_upstream(columns)
    vectors = tables.column("ingest", "embedding", config.knn.storage) if vectors is None else vectors
    given["ingest"] = {"embedding": vectors}
    threads = tables.threads
    return ArrayTables(vectors, config, threads, cluster_rows, name=tables.name, columns=given, facts=facts)


def _with_upstream(columns: Mapping[str, Mapping[str, Array]]) -> dict[str, Mapping[str, Array]]:
    """Return `columns` with an empty entry for every stage upstream of theirs."""
    given = dict(columns)
    for stage in reversed(STAGES):
        if stage.name in given:
            given |= {name: {} for name in stage.reads if name not in given}
    return given


def cluster_rows(vectors: Array, config: Config, threads: int) -> Int32:
    """Return the community (M,) of unit rows (M, D).

    The rows are taken as a set of their own through the same stages.

    Parameters
    ----------
    vectors : floating (M, D)
        Unit rows.
    config
        Of the run that they belong to.
    threads
        From 1 up; they change no community.
    """
    tables = in_memory(vectors, config, threads)
    run_stages(tables, LOCAL, Silence(), until="rejoin")
    return for_all(tables, identities_of(tables))


def run_stages(tables: Tables, execution: Execution, progress: Progress, until: str | None = None) -> None:
    """Run what is left of the recipe's stages, in order; `until` names the last one.

    The only place where the pipeline is assembled.

    Parameters
    ----------
    tables
        In this process or in a run folder.
    execution
        Executor, workers, threads and shards.
    progress
        Where lines and rows are shown.
    until
        The last stage to run; None runs all.
    """
    work = functools.partial(_run_stages, tables, execution, progress, until)
    if isinstance(tables, StoredTables):
        repaired(work, tables.folder, progress.say)
    else:
        work()


def _run_stages(tables: Tables, execution: Execution, progress: Progress, until: str | None) -> None:
    is_forecast = False
    last = len(STAGES) if until is None else [stage.name for stage in STAGES].index(until) + 1
    stages = [stage for stage in STAGES[:last] if stage.is_wanted(tables.config) and not tables.is_given(stage.name)]
    progress.plan([stage.name for stage in stages])
    for number, stage in enumerate(stages):
        left = stages[number + 1 :]
        with for_stage(stage.gpu):
            run_stage(tables, stage, execution, progress, open_run, functools.partial(free_unread, tables, stage, left))
        free_read(tables, left, execution)
        if until is None:
            leave_cluster(tables, left, execution)
        if not is_forecast and tables.has_facts("embeddings"):
            is_forecast = True
            _forecast(tables, progress)
            progress.expect(seconds_of(tables, stages))


def _forecast(tables: Tables, progress: Progress) -> None:
    """Print what later stages will need, once the rows are counted."""
    for stage in STAGES:
        if stage.is_wanted(tables.config) and (line := stage.foresee(tables)) is not None:
            progress.say(line)

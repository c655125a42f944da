"""The ordered stages: plan a run, skip what is done, run the rest, publish."""

import contextlib
import json
import os
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from raycluster._version import __version__
from raycluster.config.stages import Config
from raycluster.errors import ConfigError, InputError, RayclusterError, StorageError
from raycluster.executors.progress import Progress
from raycluster.kernels.search.nearest import exact_top_k
from raycluster.models.requirements import with_model
from raycluster.pipeline.plan import begin
from raycluster.stages import communities, edges, embeddings, knn, labels
from raycluster.stages.coarse_lists import LISTS
from raycluster.stages.communities import COMMUNITIES
from raycluster.stages.contexts import CONTEXTS
from raycluster.stages.density import DENSITY
from raycluster.stages.edges import EDGES
from raycluster.stages.embeddings import EMBEDDINGS
from raycluster.stages.ingest import INGEST
from raycluster.stages.knn import KNN
from raycluster.stages.labels import LABELS
from raycluster.stages.relations import RELATIONS
from raycluster.stages.topk import TOPK
from raycluster.storage import node_cache as scratch
from raycluster.storage import schemas
from raycluster.storage.parquet_input import describe_input
from raycluster.storage.run_folder import Run, Stage

STAGES: tuple[Stage, ...] = (
    INGEST, EMBEDDINGS, LISTS, KNN, TOPK, CONTEXTS, RELATIONS, DENSITY, EDGES, COMMUNITIES, LABELS,
)  # fmt: skip
SAMPLE_ROWS = 256


@dataclass(frozen=True)
class Execution:
    """How a run is carried out; none of it changes a label."""

    executor: Literal["auto", "local", "ray"] = "auto"
    """`auto` runs one shard in this process where no cluster address is set, and on Ray otherwise."""
    shards: int | None = None
    """Row shards; none means one for every 256 MiB of vectors. A run folder keeps the number it started with."""
    workers: int | None = None
    """Worker processes at most; none means one a shard, as far as the cluster goes."""
    accelerator: Literal["auto", "gpu", "cpu"] = "auto"
    """Whether the workers of stages that can use a GPU wait for one. `auto`: if the cluster has any when they start."""
    replan: bool = False
    """Allow another configuration on an existing run folder: stages that it changes are run again, others kept."""

    def __post_init__(self) -> None:
        for name in ("shards", "workers"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ConfigError(f"--{name} is {value}: it must be at least 1.")


@dataclass
class ShardWorker:
    """Runs shards of one stage of a run; made once in every worker process."""

    url: str
    stage: str
    threads: int
    session: str = ""
    """Names the attempts of one start of the job; empty in the driver's own process, which dies with its shard."""
    _run: Run | None = field(default=None, repr=False)

    def __call__(self, shard: int) -> dict[str, Any]:
        """Compute and commit one shard. A mistake of the user's comes back as a fact, not as a traceback."""
        stage = next(stage for stage in STAGES if stage.name == self.stage)
        try:
            self._run = self._run or Run(self.url, STAGES, threads=self.threads)
            if self.session:
                self._run.count_attempt(stage, shard, self.session)
            began = time.perf_counter()
            part = stage.compute(self._run, shard)
            part.facts["seconds"] = round(time.perf_counter() - began, 3)
            self._run.commit(stage, shard, part)
        except RayclusterError as error:
            return {"shard": shard, "error": type(error).__name__, "message": str(error)}
        return {"shard": shard, "error": "", "message": ""}


def cluster(input_url: str, output_url: str, config: Config, execution: Execution) -> dict[str, Any]:
    """Run the whole job, or what is left of it; returns the summary that is printed.

    Raises InputError, ConfigError, ResourceError for what the user can mend and StorageError for what storage did.
    """
    progress = Progress()
    config = with_model(config)
    with opened(input_url, output_url, config, execution, progress) as run:
        manifest = run.store.get("MANIFEST.json")
        if manifest is not None:
            progress.say(f"{output_url} is complete")
            return dict(json.loads(manifest)["summary"])
        advance(run, LABELS, execution, progress)
        return _publish(run, progress)


@contextlib.contextmanager
def opened(input_url: str, output_url: str, config: Config, execution: Execution, progress: Progress) -> Iterator[Run]:
    """A run of a configuration, new or taken up again; its node-local copies are gone afterwards.

    A mistake in the input that shows before neighbors are searched leaves the folder as it was.
    """
    described = describe_input(input_url)
    if f"{output_url.rstrip('/')}/".startswith(f"{input_url.rstrip('/')}/"):
        raise ConfigError(f"The run folder {output_url} lies in the input {input_url}, which it would change.")
    run, is_new = begin(output_url, described, config, execution.shards, execution.replan, STAGES, progress.say)
    try:
        yield run
    except InputError:
        if is_new and not run.done(KNN):
            run.store.delete("plan.json")
            run.store.delete("stages")
        raise
    finally:
        scratch.remove(run)


def advance(run: Run, last: Stage, execution: Execution, progress: Progress) -> None:
    """Run what is left of the stages up to `last`."""
    for stage in STAGES[: STAGES.index(last) + 1]:
        if stage.wanted(run.config):
            _run_stage(run, stage, execution, progress)


def _run_stage(run: Run, stage: Stage, execution: Execution, progress: Progress) -> None:
    with progress.timed(stage.name):
        run.prepare(stage)
    if stage is COMMUNITIES:
        links = sum(run.marker("edges", shard)["rows"] for shard in range(run.shards))
        progress.say(communities.require_memory(links, run.rows, run.config.communities))
    if stage is EDGES:
        progress.say(_limits_in_force(run.prepared("edges")))
    total = stage.shards(run)
    done = run.done(stage)
    todo = [shard for shard in range(total) if shard not in done]
    with progress.stage(stage.name, total, total - len(todo)) as advance:
        for result in _map(run, stage, todo, execution):
            if result["error"]:
                raise _rebuild(result)
            advance()
    if stage is EMBEDDINGS:
        progress.say(_memory_ahead(run))
    if (line := stage.told(run)) is not None:
        progress.say(line)


def _limits_in_force(found: dict[str, Any]) -> str:
    if "threshold" in found:
        return f"threshold {found['threshold']:.4f}, {'picked from the data' if found['picked'] else 'as given'}"
    told = [f"{name} {value:.4f}" for name, value in found.items() if name in edges.LIMITS]
    if "valley" in found:
        told.append(
            "from the valley of the set's own scores" if found["valley"] else "the model's: the scores show no valley"
        )
    if "similarity" in found:
        told.append(f"similarity {found['similarity']:.4f} at least, as far ranks suggest")
    return ", ".join(told) or "no limit to settle"


def _map(run: Run, stage: Stage, todo: list[int], execution: Execution) -> Iterator[dict[str, Any]]:
    """Run shards in this process, or as a Ray Data job."""
    if not todo:
        return
    alone = stage.shards(run) == 1 and not stage.gpu
    if alone or stage.on_driver(run.config) or not on_ray(run.plan["shards"], execution):
        worker = ShardWorker(run.store.url, stage.name, run.threads, _run=run)
        yield from map(worker, todo)
    else:
        from raycluster.executors.ray_data import map_shards

        accelerator = execution.accelerator if stage.gpu else "cpu"
        yield from map_shards(ShardWorker, run.store.url, stage.name, todo, execution.workers, accelerator)


def on_ray(shards: int, execution: Execution) -> bool:
    """Whether Ray runs what is not the driver's, for a run of so many row shards."""
    if execution.executor == "auto":
        return shards > 1 or bool(os.environ.get("RAY_ADDRESS"))
    return execution.executor == "ray"


def _rebuild(result: dict[str, Any]) -> RayclusterError:
    kinds = {kind.__name__: kind for kind in (ConfigError, InputError, StorageError)}
    return kinds.get(result["error"], RayclusterError)(result["message"])


def _memory_ahead(run: Run) -> str:
    """What communities will need, said before neighbors are searched; refuses a run that cannot fit even so."""
    config = run.config
    least, most = edges.bounds(config, run.rows)
    if config.edges.rule == "threshold" and config.edges.threshold is not None:
        vectors = embeddings.vectors(run)
        rows = np.unique(np.linspace(0, run.rows - 1, min(run.rows, SAMPLE_ROWS)).astype(np.int32))
        _, similarity = exact_top_k(vectors[rows], rows, vectors, config.knn.k, run.threads)
        above = (similarity[:, 1:] >= config.edges.threshold).sum() / len(rows)
        least, most = int(above * run.rows / 2), int(above * run.rows)
    communities.require_memory(least, run.rows, config.communities)
    needed = communities.memory_needed(most, run.rows, config.communities) / 2**30
    engine = communities.engine_for(most, config.communities)
    return f"{engine} will need at most {needed:.2f} GiB, for up to {most:,} edges"


def _publish(run: Run, progress: Progress) -> dict[str, Any]:
    """Put labels, clusters and, last of all, the manifest where readers look."""
    markers = [run.marker("labels", shard) for shard in range(run.shards)]
    assert sum(marker["rows"] for marker in markers) == run.rows, "a row was lost or doubled"
    id_type = embeddings.id_type(run)
    lost = [entry for piece in range(len(run.plan["pieces"])) for entry in _dropped(run, piece)]
    found = labels.of_run(run)
    communities_marker = run.marker("communities", communities.best_trial(run))
    recall = knn.recall_of(run)
    summary = {
        "run": run.store.url,
        "recipe": run.config.recipe,
        "rows": run.rows,
        "dropped": len(lost),
        "clusters": len(found.representative),
        "singletons": found.singletons,
        "outliers": int(found.is_outlier.sum()),
        **({} if recall is None else {"knn_recall": round(recall.mean, 5)}),
        "edges": communities_marker["links"],
        "codelength": communities_marker["codelength"],
        **{
            name: value
            for name, value in run.prepared("edges").items()
            if name in (*edges.LIMITS, "valley", "similarity")
        },
        "seconds": progress.seconds,
    }
    files = [f"labels/part-{shard:05d}.parquet" for shard in range(run.shards)]
    columns = {name: [entry[place] for entry in lost] for place, name in enumerate(("id", "file", "row", "reason"))}
    left_out = schemas.from_columns(schemas.dropped(id_type), **columns)
    run.store.put_tables("dropped.parquet", [left_out])
    manifest = {
        "version": __version__,
        "summary": summary,
        "config": asdict(run.config),
        "input": run.plan["input"],
        "knn": {**run.prepared("knn"), **({} if recall is None else {"recall": asdict(recall)})},
        "edges": run.prepared("edges"),
        "labels": [
            {"path": path, "rows": marker["rows"], "sha256": marker["sha256"]}
            for path, marker in zip(files, markers, strict=True)
        ],
    }
    cluster_table: pa.Table = labels.clusters(run)
    for path, marker in zip(files, markers, strict=True):
        run.store.copy(marker["key"], path)
    run.store.put_tables("clusters.parquet", [cluster_table])
    run.store.put("MANIFEST.json", json.dumps(manifest, indent=2).encode())
    return summary


def _dropped(run: Run, piece: int) -> list[tuple[Any, str, int, str]]:
    name = run.plan["input"]["files"][run.plan["pieces"][piece]["file"]]["path"] or run.plan["input"]["url"]
    return [(key, name, row, reason) for key, row, reason in run.marker("ingest", piece)["dropped"]]

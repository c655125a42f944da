"""A set that arrives in batches: what updates lose against clustering it at once.

    python -m benchmarks batches --inputs lfw.parquet celeba.parquet --recipes cosine --folder kept

The first batch is clustered. Every further batch is an update. All rows are clustered again where the update does so by
itself, and for the batch after an update that advises it; clusters keep their ids. The last tables
have the states after each batch. Finished feeds are kept in the folder,
so that the same command goes on after an interruption.
"""

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.measuring.script import Benchmark, Options
from benchmarks.measuring.sets import small
from benchmarks.measuring.tables import Row, Rows, Tables
from raycluster.arrays import Float32, Int64
from raycluster.config.load import load_config
from raycluster.config.stages import Config
from raycluster.evaluation.metrics import evaluate
from raycluster.executors.progress import Silence
from raycluster.identities.advice import why_again, why_at_once
from raycluster.identities.afresh import Legacy, taken_over
from raycluster.identities.grown import Change
from raycluster.identities.inheritance import NO_ID
from raycluster.identities.state import State, from_tables
from raycluster.identities.update import Updated, update
from raycluster.kernels.unit_rows import normalize
from raycluster.models.requirements import with_model
from raycluster.pipeline.run import LOCAL, in_memory, run_stages
from raycluster.storage.schemas import to_matrix


@dataclass
class Args(Options):
    """Labelled Parquet files with id, embedding and label."""

    inputs: list[str]
    recipes: list[str] = field(default_factory=lambda: ["cosine"])
    batches: list[int] = field(default_factory=lambda: [1, 2, 10, 100])
    orders: int = 3
    """Random orders in which rows arrive."""
    hold_limit: bool = False
    """Take the limit of the run of all rows in every run. Else each full run picks its own, and updates keep the last."""
    together: int = 1
    """Batches that come as the first one: 88 of 100 leave the last 12 updates."""
    threads: int = 2
    folder: str | None = None
    """Folder that keeps finished feeds; none computes all of them."""


def fresh(vectors: Float32, rows: Int64, config: Config, threads: int) -> State:
    """Return the state of a run of some rows, which are their own ids."""
    rows = np.sort(rows)
    tables = in_memory(vectors[rows], config, threads, ids=pa.array(rows))
    run_stages(tables, LOCAL, Silence())
    return from_tables(tables)


def fed(vectors: Float32, truth: Int64, batches: Sequence[Int64], config: Config, threads: int) -> tuple[State, Rows]:
    """Return the state after all batches, and one line per batch.

    Parameters
    ----------
    vectors, truth : (N, D) and (N,)
        Unit rows and their identities.
    batches : sequence of int64 arrays
        Rows of each batch.
    config, threads
        As of any run.
    """
    states: Rows = []
    state: State | None = None
    result: Updated | None = None
    seen = np.empty(0, np.int64)
    for number, batch in enumerate(batches):
        began = time.perf_counter()
        seen = np.concatenate([seen, batch])
        if state is None or (result is not None and result.advice) or why_at_once(state, len(batch), config):
            result = taken_over(fresh(vectors, seen, config, threads), state, [], Legacy(), str(number), threads)
        else:
            batch = np.sort(batch)
            change = Change(pa.array(batch), vectors[batch], np.empty(0, np.int32))
            result = update(state, change, str(number), "local", threads)
            if why_again(state, result.state, threads):
                result = taken_over(fresh(vectors, seen, config, threads), state, [], Legacy(), str(number), threads)
        state = result.state
        states.append(
            {
                "batch": number + 1,
                "rows": len(seen),
                "full": int(result.counts.new == 0),
                **scored(state, truth),
                "identities": int((result.inheritance.ids != NO_ID).sum()),
                **asdict(result.summary),
                "solved": result.counts.solved,
                "changed ids": result.churn.changed,
                "avoidable": result.churn.avoidable,
                "seconds": round(time.perf_counter() - began, 2),
            }
        )
    assert state is not None, "there is a first batch"
    return state, states


def labels_of(state: State) -> tuple[Int64, Int64]:
    """Return row numbers in the input, ascending, and the label of each."""
    rows = state.ids.to_numpy()
    label = np.where(state.row_id == NO_ID, -1 - np.arange(len(rows)), state.row_id)
    order = np.argsort(rows)
    return rows[order], label[order]


def scored(state: State, truth: Int64) -> dict[str, float]:
    """Return pairwise and BCubed F in percent."""
    rows, label = labels_of(state)
    result = evaluate(truth[rows], np.unique(label, return_inverse=True)[1])
    return {"F_P": 100 * result["pairwise"]["f"], "F_B": 100 * result["bcubed"]["f"]}


def agreement(one: State, other: State) -> float:
    """Return the pairwise F of two partitions of the same rows, in 0..1."""
    names = [np.unique(labels_of(state)[1], return_inverse=True)[1] for state in (one, other)]
    return float(evaluate(*names)["pairwise"]["f"])


class Laboratory:
    """Feeds of one set under one recipe: computed, or read from the folder."""

    def __init__(self, path: str, recipe: str, args: Args) -> None:
        self.args = args
        self.name = f"{Path(path).stem} {recipe}"
        table = pq.read_table(path)
        self.vectors = normalize(to_matrix(table["embedding"]))[0]
        self.truth: Int64 = np.unique(table["label"].to_numpy(), return_inverse=True)[1]
        self.config = with_model(load_config(recipe))
        if args.hold_limit:
            edges = replace(self.config.edges, threshold=self.whole.limits.swept_value)
            self.name, self.config = f"{self.name}, limit held", replace(self.config, edges=edges)

    @property
    def suffix(self) -> str:
        """Return what the names of kept feeds end in."""
        return f" {self.args.together}" if self.args.together > 1 else ""

    @cached_property
    def whole(self) -> State:
        """Return all rows, clustered at once."""
        return fresh(self.vectors, np.arange(len(self.truth)), self.config, self.args.threads)

    def kept(self, what: str, work: Callable[[], Row]) -> Row:
        """Return what `work` returns, as the folder keeps it."""
        if self.args.folder is None:
            return work()
        path = Path(self.args.folder) / f"{self.name} {what}.json".replace(" ", "-")
        if not path.exists():
            found = work()
            path.parent.mkdir(parents=True, exist_ok=True)
            part = path.with_suffix(".part")
            part.write_text(json.dumps(found), "utf-8")
            part.replace(path)
        return dict(json.loads(path.read_text("utf-8")))

    def at_once(self) -> Row:
        """Return the scores of all rows clustered at once, and how far another seed agrees with them."""
        communities = replace(self.config.communities, seed=self.config.communities.seed + 1)
        config = replace(self.config, communities=communities)
        other = fresh(self.vectors, np.arange(len(self.truth)), config, self.args.threads)
        return {**scored(self.whole, self.truth), "seeds": agreement(self.whole, other)}

    def feed(self, batches: int, seed: int) -> Row:
        """Return the scores after all batches of one order, and the states after each."""
        order = np.random.default_rng(seed).permutation(len(self.truth))
        parts, together = np.array_split(order, batches), min(self.args.together, batches)
        parts = [np.concatenate(parts[:together]), *parts[together:]]
        state, states = fed(self.vectors, self.truth, parts, self.config, self.args.threads)
        return {**scored(state, self.truth), "pair F": agreement(self.whole, state), "states": states}


def line_of(name: str, batches: int, at_once: Row, feeds: Rows) -> Row:
    """Return one line of the table: all orders of one number of batches."""
    states = [state for feed in feeds for state in feed["states"]]
    return {
        "set": name,
        "batches": batches,
        "orders": len(feeds),
        "F_B at once": at_once["F_B"],
        "F_B, lowest": min(feed["F_B"] for feed in feeds),
        "F_P at once": at_once["F_P"],
        "F_P, lowest": min(feed["F_P"] for feed in feeds),
        "pair F, lowest": min(feed["pair F"] for feed in feeds),
        "pair F of two seeds": at_once["seeds"],
        "full runs": max(sum(state["full"] for state in feed["states"]) for feed in feeds),
        "changed ids": max(sum(state["changed ids"] for state in feed["states"]) for feed in feeds),
        "avoidable": max((state["avoidable"] for state in states), key=abs),
    }


def tables(args: Args) -> Tables:
    """Yield one table of all cases, and the states after each batch of the first order."""
    cases: Rows = []
    for path in args.inputs:
        for recipe in args.recipes:
            laboratory = Laboratory(path, recipe, args)
            at_once = laboratory.kept("at once", laboratory.at_once)
            for batches in args.batches:
                feeds = [
                    laboratory.kept(f"{batches} {seed}{laboratory.suffix}", partial(laboratory.feed, batches, seed))
                    for seed in range(args.orders if batches > 1 else 1)
                ]
                last = f", the last {batches - args.together} of {batches}" if 1 < args.together < batches else ""
                cases.append(line_of(f"{laboratory.name}{last}", batches, at_once, feeds))
                yield "batches", cases
                if batches > 2:
                    yield f"{laboratory.name}, {batches} batches", feeds[0]["states"]


BENCHMARK = Benchmark(
    Args,
    tables,
    quick=lambda folder: Args([small(folder)], batches=[1, 3], orders=1, folder=f"{folder}/kept"),
)

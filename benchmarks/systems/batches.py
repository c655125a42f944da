"""A set that arrives in batches: what updates lose against clustering it at once.

    python -m benchmarks batches --inputs lfw.parquet celeba.parquet --recipes cosine

The first batch is clustered. Every further batch is an update; where the update advises a full run, all rows are clustered
again and clusters keep their ids. The last table has the states after each batch.
"""

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.measuring.script import Benchmark, Options
from benchmarks.measuring.sets import small
from benchmarks.measuring.tables import Rows, Tables
from raycluster.arrays import Float32, Int64
from raycluster.config.load import load_config
from raycluster.config.stages import Config
from raycluster.evaluation.metrics import evaluate
from raycluster.executors.progress import Silence
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
    threads: int = 2


def fresh(vectors: Float32, rows: Int64, config: Config, threads: int) -> State:
    """Return the state of a run of some rows, which are their own ids."""
    rows = np.sort(rows)
    tables = in_memory(vectors[rows], config, threads, ids=pa.array(rows))
    run_stages(tables, LOCAL, Silence())
    return from_tables(tables)


def fed(vectors: Float32, truth: Int64, order: Int64, batches: int, config: Config, threads: int) -> tuple[State, Rows]:
    """Return the state after all batches, and one line per batch.

    Parameters
    ----------
    vectors, truth : (N, D) and (N,)
        Unit rows and their identities.
    order : (N,) int64
        Order in which rows arrive.
    batches : int
        Equal batches.
    config, threads
        As of any run.
    """
    states: Rows = []
    state: State | None = None
    result: Updated | None = None
    seen = order[:0]
    for number, batch in enumerate(np.array_split(order, batches)):
        began = time.perf_counter()
        seen = np.concatenate([seen, batch])
        if state is None or (result is not None and result.advice):
            result = taken_over(fresh(vectors, seen, config, threads), state, [], Legacy(), str(number), threads)
        else:
            batch = np.sort(batch)
            change = Change(pa.array(batch), vectors[batch], np.empty(0, np.int32))
            result = update(state, change, str(number), "local", threads)
        state = result.state
        states.append(
            {
                "batch": number + 1,
                "rows": len(seen),
                "full": int(result.counts.new == 0),
                **scored(state, truth),
                "identities": int((result.inheritance.ids != NO_ID).sum()),
                "changed ids": result.churn.changed,
                "avoidable": result.churn.avoidable,
                "advice": "; ".join(result.advice),
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


def tables(args: Args) -> Tables:
    """Yield one table of all cases, and the states after each batch of one order."""
    cases: Rows = []
    charts: dict[str, Rows] = {}
    for path in args.inputs:
        table = pq.read_table(path)
        vectors = normalize(to_matrix(table["embedding"]))[0]
        truth = np.unique(table["label"].to_numpy(), return_inverse=True)[1]
        for recipe in args.recipes:
            config = with_model(load_config(recipe))
            name, whole = f"{Path(path).stem} {recipe}", fresh(vectors, np.arange(len(truth)), config, args.threads)
            at_once = scored(whole, truth)
            for batches in args.batches:
                finals: list[dict[str, Any]] = []
                for seed in range(args.orders if batches > 1 else 1):
                    order = np.random.default_rng(seed).permutation(len(truth))
                    state, states = fed(vectors, truth, order, batches, config, args.threads)
                    full = sum(line["full"] for line in states)
                    avoidable = max(line["avoidable"] for line in states)
                    finals.append(
                        {**scored(state, truth), "pair F": agreement(whole, state), "full": full, "av": avoidable}
                    )
                    charts.setdefault(f"{name}, {batches} batches", states)
                cases.append(
                    {
                        "set": name,
                        "batches": batches,
                        "orders": len(finals),
                        "F_B at once": at_once["F_B"],
                        "F_B, lowest": min(final["F_B"] for final in finals),
                        "F_P at once": at_once["F_P"],
                        "F_P, lowest": min(final["F_P"] for final in finals),
                        "pair F, lowest": min(final["pair F"] for final in finals),
                        "full runs": max(final["full"] for final in finals),
                        "avoidable changes": max(final["av"] for final in finals),
                    }
                )
    yield "batches", cases
    yield from ((name, states) for name, states in charts.items() if len(states) > 2)


BENCHMARK = Benchmark(Args, tables, quick=lambda folder: Args([f"{small(folder)}"], batches=[1, 3], orders=1))

"""Decisions of people on a large graph: time and memory beside the solver's own.

    python -m benchmarks decisions --rows 10000000 --decisions 1000000

The graph has planted groups, and is solved without decisions. People then decide about pairs of rows. Nearly all decisions
confirm what the solver found, and a share of them contradicts it. Memory is the peak beyond links, ids, decisions,
communities and their flows, which a full run has anyway; seconds are those of the processor.
"""

import ctypes
import datetime
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.measuring.isolation import call
from benchmarks.measuring.script import Benchmark, Options
from benchmarks.measuring.tables import Row, Rows, Tables
from benchmarks.measuring.timing import peak_bytes, timed
from raycluster.arrays import Float32, Int32
from raycluster.identities.contraction import broken_rules
from raycluster.identities.decisions import added, schema
from raycluster.identities.enforced import obeyed
from raycluster.identities.rules import compiled
from raycluster.identities.ties import Columns
from raycluster.kernels.map_equation import solve
from raycluster.kernels.map_equation.local_terms import flows_of_links

GROUP = 10
"""Rows per planted group."""
LINKS = 5
"""Links that each row draws: a tenth of them lead anywhere, all others into its group."""
BLOCK = 2**20
"""Rows whose links are drawn at once; it bounds the memory of doing so."""


TINY = 2_000
"""Rows of the graph on which everything is compiled before it is measured."""
NAMES = ("source", "target", "weight")


@dataclass
class Args(Options):
    """Sizes."""

    rows: int = 10_000_000
    decisions: int = 1_000_000
    contradicting: tuple[float, ...] = (0.005, 0.02)
    """Shares of the decisions that the planted groups contradict: half of them part a group, half of them tie two."""
    threads: int = 2


class Graph(NamedTuple):
    """Links between rows, lower row numbers first, and where each row stands in the planted order."""

    source: Int32
    target: Int32
    weight: Float32
    place: Int32
    row: Int32


def planted(rows: int) -> Graph:
    """Return a graph whose groups are GROUP places each, with rows shuffled over the places."""
    rng = np.random.default_rng(0)
    place = rng.permutation(rows).astype(np.int32)
    row = np.empty(rows, np.int32)
    row[place] = np.arange(rows, dtype=np.int32)
    source, target = np.empty(rows * LINKS, np.int32), np.empty(rows * LINKS, np.int32)
    weight = np.empty(rows * LINKS, np.float32)
    for start in range(0, rows, BLOCK):
        own = np.repeat(np.arange(start, min(start + BLOCK, rows), dtype=np.int32), LINKS)
        near = place[own] - place[own] % GROUP + rng.integers(0, GROUP, len(own))
        anywhere = rng.random(len(own)) < 0.1
        other = row[np.where(anywhere, rng.integers(0, rows, len(own)), np.minimum(near, rows - 1))]
        piece = slice(start * LINKS, start * LINKS + len(own))
        source[piece], target[piece] = np.minimum(own, other), np.maximum(own, other)
        weight[piece] = np.where(own == other, 0, 0.3 + 0.7 * rng.random(len(own)) - 0.2 * anywhere)
    return Graph(source, target, weight, place, row)


def decided(graph: Graph, count: int, contradicting: float) -> pa.Table:
    """Return decisions that do not contradict each other.

    Groups with a number that ends in 0 of 50 are two identities, and those that end in 10 and 11 are one; about all others
    people decide as they were planted.
    """
    rng, rows = np.random.default_rng(1), len(graph.row)
    groups = rows // GROUP
    odd = int(count * contradicting / 2)
    plain = rng.integers(0, groups, count)
    plain += np.where(np.isin(plain % 50, (0, 10, 11)), 2, 0)
    plain = np.minimum(plain, groups - 1 - (groups - 1) % 50 + 5)
    cases = {
        "confirmed": (plain[: count // 2], 0, 10, 0, 10, True),
        "apart": (plain[count // 2 : count - 2 * odd], 0, 10, 0, 10, False),
        "parted": (rng.integers(0, groups // 50, odd) * 50, 0, 5, 5, 10, False),
        "tied": (rng.integers(0, groups // 50, odd) * 50 + 10, 0, 10, 0, 10, True),
    }
    one, other, same = [], [], []
    for name, (group, low, high, first, last, is_same) in cases.items():
        a = group * GROUP + rng.integers(low, high, len(group))
        to = {"apart": np.roll(group, 1), "tied": group + 1}.get(name, group)
        b = to * GROUP + rng.integers(first, last, len(group))
        kept = (a != b) & ((to == group) | is_same | (to != group))
        kept &= ~((name == "apart") & (to == group))
        one.append(graph.row[a[kept]])
        other.append(graph.row[b[kept]])
        same.append(np.full(int(kept.sum()), is_same))
    at = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    total = sum(map(len, one))
    columns = [
        pa.array(np.concatenate(one).astype(np.int64)),
        pa.array(np.concatenate(other).astype(np.int64)),
        pa.array(np.concatenate(same)),
        pa.array(["ann"] * total, pa.string()),
        pa.array([at] * total, pa.timestamp("us", tz="UTC")),
        pa.nulls(total, pa.string()),
    ]
    kind = schema(pa.int64())
    return added(kind.empty_table(), pa.Table.from_arrays(columns, schema=kind))


def stored(folder: Path, args: Args) -> float:
    """Write a solved graph and decisions about it; returns the seconds of the solver."""
    graph = planted(args.rows)
    for share in args.contradicting:
        pq.write_table(decided(graph, args.decisions, share), folder / f"{share}.parquet")
    links = graph.source, graph.target, graph.weight
    for name, column in zip(NAMES, links, strict=True):
        np.save(folder / f"{name}.npy", column)
    tiny = planted(TINY)
    solve(tiny.source, tiny.target, tiny.weight, TINY, threads=args.threads)
    took = timed(lambda: solve(*links, args.rows, threads=args.threads))
    np.save(folder / "communities.npy", took.result.communities.astype(np.int32))
    return took.cpu


def enforced(folder: Path, rows: int, share: float) -> Row:
    """Return the line of the decisions in `folder`."""
    tiny = planted(TINY)
    rules = compiled(decided(tiny, 100, 0.1), pa.array(np.arange(TINY)), Columns())[0]
    obeyed(tiny.source, tiny.target, tiny.weight, np.arange(TINY, dtype=np.int32) // 50, rules)
    links = [np.load(folder / f"{name}.npy") for name in NAMES]
    communities, table = np.load(folder / "communities.npy"), pq.read_table(folder / f"{share}.parquet")
    ids = pa.array(np.arange(rows))
    own = flows_of_links(links[0], links[1], links[2], communities, int(communities.max()) + 1)
    ctypes.CDLL("libc.so.6").malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts again from here
    before = psutil.Process().memory_info().rss
    ruled = timed(lambda: compiled(table, ids, Columns())[0])
    of_rules = peak_bytes() - before
    broken = broken_rules(communities, ruled.result)
    found = timed(lambda: obeyed(links[0], links[1], links[2], communities, ruled.result, own))
    return {
        "rows": rows,
        "links": len(links[0]),
        "decisions": table.num_rows,
        "contradicting": share,
        "broken before": broken,
        "rows solved again": found.result.solved,
        "violations": broken_rules(found.result.communities, ruled.result),
        "rules, s": round(ruled.cpu, 2),
        "in force, s": round(found.cpu, 2),
        "peak of rules, MB": round(of_rules / 1e6, 1),
        "peak, MB": round((peak_bytes() - before) / 1e6, 1),
    }


def tables(args: Args) -> Tables:
    """Yield one table; the solver and each line have processes of their own."""
    with tempfile.TemporaryDirectory() as folder:
        solver = call(stored, Path(folder), args)
        lines: Rows = []
        for share in args.contradicting:
            found = call(enforced, Path(folder), args.rows, share)
            took = 100 * (found["rules, s"] + found["in force, s"]) / solver
            lines.append({**found, "solver, s": round(solver, 2), "share of the solver's, %": took})
            yield "decisions", lines


BENCHMARK = Benchmark(Args, tables, quick=lambda folder: Args(20_000, 2_000, threads=1))

"""The whole job against other systems on large generated sets.

    python -m benchmarks peers

Every method is a process of its own and ends in labels: recipes from Parquet; recipe `cosine` with Infomap in place of our
map equation on the same edges; faiss's exact search and connected components at the threshold of `cosine`; HDBSCAN
(fast_hdbscan) on the neighbors by faiss, whose search counts; EVoC from the vectors. Imports and compiling are not timed.
"""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.measuring.isolation import Failed, ResourceLimits, call
from benchmarks.measuring.scores import short_scores
from benchmarks.measuring.script import Benchmark, Options
from benchmarks.measuring.tables import Rows, Tables
from benchmarks.systems.comparison import prepared, recipes
from benchmarks.systems.comparison.baselines import BASELINES
from raycluster.config.stages import Config
from raycluster.synthetic.generator import SyntheticConfig, write_parquet


@dataclass
class Args(Options):
    """Sizes, and what a method may take."""

    rows: tuple[int, ...] = (100_000, 300_000)
    width: int = 256
    mean_size: float = 70.0
    recipes: tuple[str, ...] = ("cosine", "auto")
    baselines: tuple[str, ...] = ("components", "HDBSCAN", "EVoC")
    k: int = 80
    minutes: float = 15.0
    memory_gib: float = 20.0
    folder: str | None = None
    """Folder of the sets; none means the temporary folder."""


def methods(args: Args, source: str, folder: str, limits: ResourceLimits) -> dict[str, tuple[bool, Callable[[], Any]]]:
    """Return whether the search by faiss counts, and the measuring call, by method."""
    configs = {f"`{name}`": recipes.configured(name, None, args.k, {}) for name in args.recipes}
    cosine = recipes.configured("cosine", None, args.k, {})
    configs["`cosine`, Infomap"] = replace(cosine, communities=replace(cosine.communities, engine="infomap"))
    shared = (folder, args.k, args.memory_gib)
    return {
        **{name: (False, partial(call, recipes.scored, source, "label", config, f"{folder}/run", limits=limits))
           for name, config in configs.items()},
        **{name: (BASELINES[name].neighbors,
                  partial(call, prepared.scored, *shared, name, BASELINES[name].published, limits=limits))
           for name in args.baselines},
    }  # fmt: skip


def rows_of(args: Args, rows: int, folder: str) -> Rows:
    """Return the table of one size."""
    source, limits = f"{folder}/input", ResourceLimits(60 * args.minutes, args.memory_gib)
    write_parquet(SyntheticConfig(rows=rows, width=args.width, mean_size=args.mean_size), source)
    prepared.read(source, Path(folder), Config(), "label")
    search = call(prepared.search, folder, args.k, "faiss", limits=limits)
    table: Rows = []
    for name, (searched, method) in methods(args, source, folder, limits).items():
        try:
            result = method()
        except Failed as error:
            table.append({"method": name, "failed": str(error)})
            continue
        seconds = result["seconds"] + (search["seconds"] if searched else 0.0)
        peak = max(result["peak_gib"], search["peak_gib"] if searched else 0.0)
        table.append({"method": name, **short_scores(result["scores"]), "seconds": seconds, "peak GiB": peak})
    return table


def tables(args: Args) -> Tables:
    """Yield a table per size."""
    for rows in args.rows:
        with tempfile.TemporaryDirectory(dir=args.folder) as folder:
            yield f"{rows:,} rows of width {args.width}", rows_of(args, rows, folder)


BENCHMARK = Benchmark(
    Args,
    tables,
    quick=lambda _: Args(rows=(1500,), width=32, mean_size=10, recipes=("cosine",), baselines=("components",), k=20),
)

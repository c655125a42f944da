"""The whole job against other systems on large generated sets, in one run: seconds, peak memory and F of each, as Markdown.

Every method is a process of its own and ends in labels: recipes from Parquet, and recipe `cosine` with Infomap in place of our
map equation on the same edges; faiss's exact search and connected components, at the threshold that `cosine` picks; HDBSCAN
(fast_hdbscan) on the neighbors that faiss found, whose search counts; EVoC from the vectors. Imports and compiling are left out.
"""

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import tyro

from ablation import scores
from comparison import flat, prepared, recipes
from comparison.baselines import BASELINES
from comparison.isolated import Failed, Limits, call
from measure import Rows, print_tables
from raycluster.synthetic.generator import SyntheticConfig, write_parquet


@dataclass
class Args:
    """Sizes, and what a method may take."""

    rows: tuple[int, ...] = (100_000, 300_000)
    width: int = 256
    mean_size: float = 70.0
    recipes: tuple[str, ...] = ("cosine", "auto")
    k: int = 80
    minutes: float = 15.0
    memory_gib: float = 20.0
    folder: str | None = None
    """Where sets are made; none means the temporary folder."""
    json: str | None = None


def rows_of(args: Args, rows: int, folder: str) -> Rows:
    """The table of one size."""
    source = f"{folder}/input"
    write_parquet(SyntheticConfig(rows=rows, width=args.width, mean_size=args.mean_size), source)
    prepared.read(source, Path(folder), "id", "embedding", "label")
    limits = Limits(60 * args.minutes, args.memory_gib)
    search = call(flat.search, folder, args.k, limits=limits)
    chosen = {f"`{name}`": recipes.configured(name, None, args.k, {}) for name in args.recipes}
    cosine = recipes.configured("cosine", None, args.k, {})
    chosen["`cosine`, Infomap"] = replace(cosine, communities=replace(cosine.communities, engine="infomap"))
    baseline = partial(call, prepared.scored, folder, args.k, args.memory_gib, limits=limits)
    methods: dict[str, tuple[bool, Callable[[], Any]]] = {
        name: (False, partial(call, recipes.scored, source, "label", config, f"{folder}/run", limits=limits))
        for name, config in chosen.items()
    }
    methods |= {
        "faiss flat, connected components": (
            True, partial(call, flat.linked, folder, args.k, args.memory_gib, limits=limits)
        ),
        **{
            name: (BASELINES[name].neighbors, partial(baseline, name, BASELINES[name].published))
            for name in ("HDBSCAN", "EVoC")
        },
    }  # fmt: skip
    found: Rows = []
    for name, (searched, method) in methods.items():
        try:
            got = method()
        except Failed as error:
            found.append({"method": name, "failed": str(error)})
        else:
            spent = got["seconds"] + (search["seconds"] if searched else 0.0)
            peak = max(got["peak_gib"], search["peak_gib"] if searched else 0.0)
            told = {name: scores(got["scores"])[name] for name in ("F_P", "F_B", "NMI")}
            found.append({"method": name, **told, "seconds": spent, "peak GiB": peak})
    return found


def tables(args: Args) -> Iterator[tuple[str, Rows]]:
    """A table a size."""
    for rows in args.rows:
        with tempfile.TemporaryDirectory(dir=args.folder) as folder:
            yield f"{rows:,} rows of width {args.width}", rows_of(args, rows, folder)


if __name__ == "__main__":
    args = tyro.cli(Args)
    print_tables("peers", args, tables(args), args.json)

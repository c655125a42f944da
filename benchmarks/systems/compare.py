"""Recipes and baselines in one table and one chart, for any labelled sets.

    python -m benchmarks compare --test labelled.parquet --folder kept --chart table.svg [--model RECIPE=MODEL]

Every row is made in a process of its own, with limits of time and memory; a row that fails holds the reason. Finished rows
are kept in FOLDER, by input, settings and versions of the libraries, and not made again; an interrupted sweep of a recipe
continues its run. A row called best is the best of the printed sweep by BCubed F on the test labels themselves, a bound
that no user reaches; `oracle` marks methods that read the true number of identities. Rows without a label take part and
are left out of the scores; noise counts as singletons.

Seconds are those of this machine, without imports and compilation: of a recipe for the whole job, from Parquet to written
labels; of a baseline from vectors in memory to labels, plus the exact neighbor table where it reads one. A best recipe has
none: it is read from stored edges. Peak memory is that of the process, libraries included, or of the neighbor search where
that took more. Scores are percent but for NMI (geometric) and R#I (clusters per identity).
"""

import json
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil

from benchmarks.measuring.isolation import Failed, ResourceLimits, call
from benchmarks.measuring.scores import short_scores
from benchmarks.measuring.script import Benchmark, Options
from benchmarks.measuring.sets import small
from benchmarks.measuring.tables import Row, Rows, Tables
from benchmarks.papers import quoted
from benchmarks.systems.comparison import prepared, recipes
from benchmarks.systems.comparison.baselines import BASELINES, Baseline, Settings
from raycluster.config.fingerprint import fingerprint
from raycluster.config.stages import Config
from raycluster.errors import ConfigError, RayclusterError
from raycluster.storage.parquet_input import describe_input


@dataclass
class Args(Options):
    """Labelled Parquets, a folder for finished rows, and what to compare."""

    test: tuple[str, ...]
    folder: str
    recipes: tuple[str, ...] = recipes.LABEL_FREE
    """Recipes that need no model."""
    model: tuple[str, ...] = ()
    """RECIPE=FOLDER pairs: a recipe and the model to run it with."""
    baselines: tuple[str, ...] = tuple(BASELINES)
    k: int = 80
    """Neighbors per row, itself included, of recipes and baselines alike; facemap and models have their own."""
    minutes: float = 10.0
    """Longest that a row may take; a sweep of a recipe may take as much for every point."""
    memory_gib: float = field(default_factory=lambda: round(0.8 * psutil.virtual_memory().available / 2**30, 1))
    """Most memory that a row may take."""
    id_column: str = "id"
    embedding_column: str = "embedding"
    label_column: str = "label"
    chart: str | None = None
    """File for an Altair chart: .html with everything in it, .svg or .png."""


@dataclass
class Laboratory:
    """The rows of one test set: made at their first use, or read from the folder."""

    args: Args
    test: str

    @cached_property
    def described(self) -> str:
        """Return twelve hex digits that change with the input."""
        columns = (self.args.id_column, self.args.embedding_column, self.args.label_column)
        return fingerprint(describe_input(self.test), *columns)

    @property
    def arrays(self) -> Path:
        """Return the folder of the prepared set."""
        return Path(self.args.folder) / f"set-{self.described}"

    def kept(self, what: Row, packages: tuple[str, ...], points: int, work: Callable[..., Any], *args: Any) -> Any:
        """Return what `work` returns in a process of its own, as JSON keeps it.

        `what` and the versions of `packages` identify the row.
        """
        versions = {name: version(name) for name in ("raycluster", "numpy", *packages)}
        path = Path(self.args.folder) / "rows" / f"{fingerprint(self.described, what, versions)}.json"
        label = " ".join(f"{value}" for value in what.values() if value)[:120]
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                found = call(work, *args, limits=ResourceLimits(60 * self.args.minutes * points, self.args.memory_gib))
            except Failed as error:
                print(f"{label}: {error}", file=sys.stderr, flush=True)
                raise
            print(f"{label}: done", file=sys.stderr, flush=True)
            part = path.with_suffix(".part")
            part.write_text(json.dumps({"what": what, "versions": versions, "found": found}, indent=1), "utf-8")
            part.replace(path)
        return json.loads(path.read_text("utf-8"))["found"]

    def prepare(self) -> None:
        """Read the set once; an input error ends the benchmark."""
        if not (self.arrays / "identity.npy").exists():
            self.arrays.mkdir(parents=True, exist_ok=True)
            config = Config(id_column=self.args.id_column, embedding_column=self.args.embedding_column)
            prepared.read(self.test, self.arrays, config, self.args.label_column)

    def neighbors(self) -> Row:
        """Return seconds and peak of the search that all baselines share."""
        k, folder = self.args.k, str(self.arrays)
        return dict(self.kept({"neighbors": k}, ("numba",), 1, prepared.search, folder, k))

    def baseline(self, name: str, settings: Settings) -> Row:
        """Return the result of one setting of a baseline."""
        search, k, method = self.neighbors(), self.args.k, BASELINES[name]
        arguments = (str(self.arrays), k, self.args.memory_gib, name, settings)
        found = self.kept(
            {"baseline": name, "settings": settings, "k": k}, method.packages, 1, prepared.scored, *arguments
        )
        if method.neighbors:
            found["seconds"] += search["seconds"]
            found["peak_gib"] = max(found["peak_gib"], search["peak_gib"])
        return dict(found)

    def recipe(self, config: Config) -> Row:
        """Return the result of a recipe as it is."""
        return dict(self.kept(_identifying(config), recipes.PACKAGES, 1, recipes.scored, *self._run_of(config)))

    def recipe_sweep(self, config: Config) -> Rows:
        """Return the results of a recipe at every limit of its sweep."""
        points = recipes.swept(config)
        what = {"sweep": points, **_identifying(config)}
        return list(self.kept(what, recipes.PACKAGES, len(points), recipes.sweep, *self._run_of(config)))

    def _run_of(self, config: Config) -> tuple[str, str, Config, str]:
        """Return what a recipe's rows are made from, and the run folder they share."""
        name = fingerprint(self.described, _identifying(config))
        return self.test, self.args.label_column, config, str(Path(self.args.folder) / "runs" / name)


def _identifying(config: Config) -> Row:
    """Return the part of a configuration that identifies a row.

    The model counts by its digest, wherever it lies.
    """
    return {"recipe": config.recipe, "config": {**asdict(config), "model": None}}


def attempted(row: Row, work: Callable[[], Row]) -> Row:
    """Return the row with the columns of `work`, or with the reason of its failure."""
    try:
        return row | line(work())
    except Failed as error:
        return {**row, "failed": str(error)}


def line(found: Row) -> Row:
    """Return the columns of a table, from what a row's process returned."""
    scores = found["scores"]
    identity = scores["identity"]
    columns = {**short_scores(scores), "F_I(0.9)": 100 * identity["f_0.9"]}
    columns |= {"R#I": identity["clusters_per_identity"], "clusters": scores["clusters"]}
    if "seconds" in found:
        columns |= {"seconds": found["seconds"], "peak GiB": found["peak_gib"]}
    return columns


def best(rows: Rows) -> Row | None:
    """Return the first line of a sweep with the highest BCubed F, if any has one."""
    return max((row for row in rows if "F_B" in row), key=lambda row: row["F_B"], default=None)


def written(settings: Row) -> str:
    """Return settings for people."""
    return ", ".join(f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}"
                     for name, value in settings.items()) or "-"  # fmt: skip


def of_baseline(laboratory: Laboratory, name: str, method: Baseline) -> tuple[Rows, Rows]:
    """Return the two lines of a baseline, published and best, and its sweep."""
    points = (method.published, *(settings for settings in method.sweep if settings != method.published))
    sweep = [
        attempted({"method": name, "setting": written(each)}, lambda each=each: laboratory.baseline(name, each))  # type: ignore[misc]
        for each in points
    ]
    mark = ", oracle" if method.oracle else ""
    return _published_and_best(sweep[0], f"published ({method.published_by}{mark})", sweep, len(points)), sweep


def of_recipe(laboratory: Laboratory, recipe: str, model: str | None) -> tuple[Rows, Rows]:
    """Return the two lines of a recipe, as it is and best, and its sweep."""
    args = laboratory.args
    columns = {"id_column": args.id_column, "embedding_column": args.embedding_column}
    try:
        config = recipes.configured(recipe, model, args.k, columns)
    except RayclusterError as error:
        return [{"method": recipe, "at": "-", "failed": str(error)}], []
    how = "limits of its model" if config.needs_model else "label-free"
    row: Row = {"method": recipe, "setting": "-"}

    def as_is() -> Row:
        found = laboratory.recipe(config)
        row["setting"] = written(found["limits"])
        return found

    plain = row | attempted({}, as_is) | {"setting": row["setting"]}
    if not recipes.swept(config):
        return [{**plain, "at": how}], []
    try:
        found = laboratory.recipe_sweep(config)
    except Failed as error:
        sweep: Rows = [{**row, "setting": "sweep", "failed": str(error)}]
    else:
        sweep = [
            {"method": recipe, "setting": written({"limit": at["threshold"]}), **line({"scores": at})} for at in found
        ]
    return _published_and_best(plain, how, sweep, len(sweep)), sweep


def _published_and_best(plain: Row, how: str, sweep: Rows, points: int) -> Rows:
    chosen = best(sweep)
    return [{**plain, "at": how}, *([{**chosen, "at": f"best of {points}"}] if chosen else [])]


def compared(args: Args) -> Tables:
    """Yield the table and the sweeps of every set, then what is quoted."""
    models = [pair.partition("=")[::2] for pair in args.model]
    if wrong := [name for name in args.baselines if name not in BASELINES]:
        raise ConfigError(f"There is no baseline '{wrong[0]}'; there are {', '.join(BASELINES)}.")
    if wrong := [recipe for recipe, model in models if not model]:
        raise ConfigError(f"--model {wrong[0]} names no folder; it takes RECIPE=FOLDER.")
    for test in args.test:
        laboratory = Laboratory(args, test)
        laboratory.prepare()
        made = [of_recipe(laboratory, recipe, None) for recipe in args.recipes]
        made += [of_recipe(laboratory, recipe, model) for recipe, model in models]
        made += [of_baseline(laboratory, name, BASELINES[name]) for name in args.baselines]
        title = Path(test).stem
        yield title, [ordered(row) for rows, _ in made for row in rows]
        yield f"{title}: sweeps", [row for _, sweep in made for row in sweep]
    yield quoted.MS1M, quoted.ms1m()


def ordered(row: Row) -> Row:
    """Return the row with `at` right after the method."""
    return {"method": row["method"], "at": row["at"], **row}


def with_chart(titled: Tables, path: str | None) -> Tables:
    """Yield the tables and draw F_P and F_B of every method."""
    points: Rows = []
    for title, rows in titled:
        yield title, rows
        points += [
            {"set": title, "method": row["method"], "score": name, "F": row[name],
             "at": "best of a sweep on the labels" if row["at"].startswith("best") else "published or label-free"}
            for row in rows if "at" in row and "F_B" in row for name in ("F_P", "F_B")
        ]  # fmt: skip
        if path and points:
            draw(points, path)


def draw(points: Rows, path: str) -> None:
    """Write the chart in the format of the suffix.

    HTML holds its scripts and needs no network.
    """
    import altair as alt

    methods = list(dict.fromkeys(point["method"] for point in points))
    base = alt.Chart(alt.Data(values=points))
    dots = base.mark_point(filled=True, size=70).encode(
        x=alt.X("F:Q", scale=alt.Scale(domain=[0, 100]), title="F, percent"),
        y=alt.Y("method:N", sort=methods, title=None),
        color=alt.Color("at:N", title=None),
        tooltip=["set:N", "method:N", "at:N", "score:N", "F:Q"],
    )
    column = alt.Column("score:N", title=None, sort=["F_P", "F_B"])
    chart = dots.properties(width=280).facet(column=column, row=alt.Row("set:N", title=None))
    chart.save(path, **({"inline": True} if path.endswith(".html") else {}))


def tables(args: Args) -> Tables:
    """Yield every table, and draw the chart where one is wanted."""
    return with_chart(compared(args), args.chart)


def _quick(folder: str) -> Args:
    return Args(
        (small(folder),), f"{folder}/kept", ("cosine",), baselines=("spectral",), k=20, memory_gib=4.0,
        chart=f"{folder}/chart.svg",
    )  # fmt: skip


BENCHMARK = Benchmark(Args, tables, _quick)

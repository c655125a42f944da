"""Recipes and baselines in one table, for any labelled sets: Markdown on stdout, JSON and a chart in files.

Every row is made in a process of its own under limits of time and memory; one that fails says why. Finished rows are kept
in FOLDER, by input, settings and versions of the libraries, and not made again; a sweep of a recipe that was ended goes on
with the run it had. A row called best is the best of the
printed sweep by BCubed F on the test labels themselves, a bound no user reaches; `oracle` marks methods that are told the
true number of identities. Rows without a label take part and are left out of the scores; noise counts as singletons.

Seconds are those of this machine, without imports and compilation: of a recipe for the whole job, from Parquet to labels
written; of a baseline from vectors in memory to labels, those of the exact neighbor table added where it reads one. A best
recipe has none: it is read from stored edges. Peak memory is that of the process, libraries included, or of the neighbor
search where that took more. Scores are percent but for NMI (geometric) and R#I (clusters to an identity).
"""

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil
import tyro

from ablation import scores
from comparison import prepared, quoted, recipes
from comparison.baselines import BASELINES, Baseline, Settings
from comparison.isolated import Failed, Limits, call
from measure import Rows, print_tables
from raycluster.config.fingerprint import fingerprint
from raycluster.config.stages import Config
from raycluster.errors import ConfigError, RayclusterError
from raycluster.storage.parquet_input import describe_input

Values = dict[str, Any]


@dataclass
class Args:
    """Labelled Parquets, a folder for finished rows, and what to set beside each other."""

    test: tuple[str, ...]
    folder: str
    recipes: tuple[str, ...] = recipes.LABEL_FREE
    """Recipes that need no model."""
    model: tuple[str, ...] = ()
    """RECIPE=FOLDER pairs: a recipe and the model to run it with."""
    baselines: tuple[str, ...] = tuple(BASELINES)
    k: int = 80
    """Neighbors a row, itself included, of recipes and baselines alike; facemap and models have their own."""
    minutes: float = 10.0
    """Longest that a row may take; a sweep of a recipe may take as much for every point."""
    memory_gib: float = field(default_factory=lambda: round(0.8 * psutil.virtual_memory().available / 2**30, 1))
    """Most memory that a row may take."""
    id_column: str = "id"
    embedding_column: str = "embedding"
    label_column: str = "label"
    json: str | None = None
    chart: str | None = None
    """File for an Altair chart: .html with everything in it, .svg or .png."""


@dataclass
class Laboratory:
    """The rows of one test set: each made when first asked for, or taken from the folder."""

    args: Args
    test: str

    @cached_property
    def described(self) -> str:
        """Twelve hex digits that change with the input."""
        columns = (self.args.id_column, self.args.embedding_column, self.args.label_column)
        return fingerprint(describe_input(self.test), *columns)

    @property
    def arrays(self) -> Path:
        """Where the prepared set lies."""
        return Path(self.args.folder) / f"set-{self.described}"

    def kept(self, what: Values, packages: tuple[str, ...], points: int, work: Callable[..., Any], *args: Any) -> Any:
        """What `work` returns in a process of its own, as JSON keeps it; `what` and `packages` tell rows apart."""
        versions = {name: version(name) for name in ("raycluster", "numpy", *packages)}
        path = Path(self.args.folder) / "rows" / f"{fingerprint(self.described, what, versions)}.json"
        told = " ".join(f"{value}" for value in what.values() if value)[:120]
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                found = call(work, *args, limits=Limits(60 * self.args.minutes * points, self.args.memory_gib))
            except Failed as error:
                print(f"{told}: {error}", file=sys.stderr, flush=True)
                raise
            print(f"{told}: done", file=sys.stderr, flush=True)
            part = path.with_suffix(".part")
            part.write_text(json.dumps({"what": what, "versions": versions, "found": found}, indent=1), "utf-8")
            part.replace(path)
        return json.loads(path.read_text("utf-8"))["found"]

    def prepare(self) -> None:
        """Read the set once; an input error ends the benchmark."""
        if not (self.arrays / "identity.npy").exists():
            self.arrays.mkdir(parents=True, exist_ok=True)
            args = self.args
            prepared.read(self.test, self.arrays, args.id_column, args.embedding_column, args.label_column)

    def neighbors(self) -> Values:
        """Seconds and peak of the search that all baselines share."""
        k, folder = self.args.k, str(self.arrays)
        return dict(self.kept({"neighbors": k}, ("numba",), 1, prepared.search, folder, k))

    def baseline(self, name: str, settings: Settings) -> Values:
        """One setting of a baseline."""
        search, k, method = self.neighbors(), self.args.k, BASELINES[name]
        arguments = (str(self.arrays), k, self.args.memory_gib, name, settings)
        found = self.kept(
            {"baseline": name, "settings": settings, "k": k}, method.packages, 1, prepared.scored, *arguments
        )
        if method.neighbors:
            found["seconds"] += search["seconds"]
            found["peak_gib"] = max(found["peak_gib"], search["peak_gib"])
        return dict(found)

    def recipe(self, config: Config) -> Values:
        """A recipe as it is."""
        return dict(self.kept(_told(config), recipes.PACKAGES, 1, recipes.scored, *self._run_of(config)))

    def recipe_sweep(self, config: Config) -> Rows:
        """A recipe at every limit of its sweep."""
        points = recipes.swept(config)
        what = {"sweep": points, **_told(config)}
        return list(self.kept(what, recipes.PACKAGES, len(points), recipes.sweep, *self._run_of(config)))

    def _run_of(self, config: Config) -> tuple[str, str, Config, str]:
        """What a recipe's rows are made of, and the run folder they share."""
        name = fingerprint(self.described, _told(config))
        return self.test, self.args.label_column, config, str(Path(self.args.folder) / "runs" / name)


def _told(config: Config) -> Values:
    """A configuration as what tells rows apart; the model counts by its digest, wherever it lies."""
    return {"recipe": config.recipe, "config": {**asdict(config), "model": None}}


def attempted(row: Values, work: Callable[[], Values]) -> Values:
    """A line of a table: what `work` found of the row, or why there is nothing."""
    try:
        return row | line(work())
    except Failed as error:
        return {**row, "failed": str(error)}


def line(found: Values) -> Values:
    """The columns of a table, from what a row's process returned."""
    all_scores, told = scores(found["scores"]), found["scores"]
    columns = {name: all_scores[name] for name in ("F_P", "F_B", "NMI")}
    columns["F_I(0.9)"] = 100 * told["identity"]["f_0.9"]
    columns |= {"R#I": told["identity"]["clusters_per_identity"], "clusters": told["clusters"]}
    if "seconds" in found:
        columns |= {"seconds": found["seconds"], "peak GiB": found["peak_gib"]}
    return columns


def best(rows: Rows) -> Values | None:
    """The line of a sweep with the highest BCubed F, of equals the first; none where all failed."""
    return max((row for row in rows if "F_B" in row), key=lambda row: row["F_B"], default=None)


def written(settings: Values) -> str:
    """Settings for people."""
    return ", ".join(f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}"
                     for name, value in settings.items()) or "-"  # fmt: skip


def of_baseline(laboratory: Laboratory, name: str, method: Baseline) -> tuple[Rows, Rows]:
    """The lines of a baseline in the table, published and best, and all of its sweep."""
    points = (method.published, *(settings for settings in method.sweep if settings != method.published))
    sweep = [
        attempted({"method": name, "setting": written(each)}, lambda each=each: laboratory.baseline(name, each))  # type: ignore[misc]
        for each in points
    ]
    mark = ", oracle" if method.oracle else ""
    return _published_and_best(sweep[0], f"published ({method.published_by}{mark})", sweep, len(points)), sweep


def of_recipe(laboratory: Laboratory, recipe: str, model: str | None) -> tuple[Rows, Rows]:
    """The lines of a recipe, as it is and best, and all of its sweep."""
    args = laboratory.args
    columns = {"id_column": args.id_column, "embedding_column": args.embedding_column}
    try:
        config = recipes.configured(recipe, model, args.k, columns)
    except RayclusterError as error:
        return [{"method": recipe, "at": "-", "failed": str(error)}], []
    how = "limits of its model" if config.needs_model else "label-free"
    row: Values = {"method": recipe, "setting": "-"}

    def as_is() -> Values:
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


def _published_and_best(plain: Values, how: str, sweep: Rows, points: int) -> Rows:
    chosen = best(sweep)
    return [{**plain, "at": how}, *([{**chosen, "at": f"best of {points}"}] if chosen else [])]


def tables(args: Args) -> Iterator[tuple[str, Rows]]:
    """Of every set its table and its sweeps, as soon as they are there; last what is quoted."""
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
    yield quoted.SOURCE, quoted.ms1m()


def ordered(row: Values) -> Values:
    """`at` right after the method, for a table to read from left to right."""
    return {"method": row["method"], "at": row["at"], **row}


def with_chart(found: Iterator[tuple[str, Rows]], path: str | None) -> Iterator[tuple[str, Rows]]:
    """The tables, drawn as they pass: F_P and F_B of every method, as published or label-free and at its best."""
    points: Rows = []
    for title, rows in found:
        yield title, rows
        points += [
            {"set": title, "method": row["method"], "score": name, "F": row[name],
             "at": "best of a sweep on the labels" if row["at"].startswith("best") else "published or label-free"}
            for row in rows if "at" in row and "F_B" in row for name in ("F_P", "F_B")
        ]  # fmt: skip
        if path and points:
            draw(points, path)


def draw(points: Rows, path: str) -> None:
    """Write the chart as Altair does by the suffix; HTML holds its scripts and needs no network."""
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


def main(args: Args) -> None:
    """Print, and write what was asked for."""
    print_tables("compare", args, with_chart(tables(args), args.chart), args.json)


if __name__ == "__main__":
    main(tyro.cli(Args))

"""Configuration: one frozen dataclass a stage, filled from a recipe, then a YAML file, then the command line."""

import dataclasses
import difflib
import hashlib
import json
import math
import types
import typing
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any, Literal, TypeVar

import yaml

from raycluster.errors import ConfigError

DEFAULT_RECIPE = "cosine"
Section = TypeVar("Section")


def _require(condition: bool, sentence: str) -> None:
    if not condition:
        raise ConfigError(sentence)


@dataclass(frozen=True)
class EmbeddingsConfig:
    """Reading, checking and normalizing the input."""

    on_bad_row: Literal["error", "drop"] = "error"
    """What a row with NaN, infinity, null or only zeros does: stop the run, or be left out and listed in the run."""


@dataclass(frozen=True)
class KnnConfig:
    """The k nearest neighbors of every row by cosine."""

    k: int = 80
    """Neighbors kept a row, the row itself included. Raising it finds more of a large identity and costs memory."""
    index: Literal["exact", "ivf"] = "exact"
    """`ivf` searches only the nearest inverted lists: faster on millions of rows, and a little recall is lost."""
    engine: Literal["auto", "gemm", "faiss"] = "auto"
    """Who scores: our gemm kernel, or faiss flat. `auto` is faiss on a GPU and gemm on a CPU."""
    storage: Literal["float32", "float16"] = "float32"
    """Precision of the searched vectors. `float16` halves their memory and moves a similarity by up to 0.001."""
    lists: int | None = None
    """Inverted lists of `ivf`; none means 4 times the square root of the rows."""
    probes: int = 32
    """Inverted lists searched a row. Raising it raises recall and time in proportion."""
    seed: int = 0
    """Seed of the sample that the inverted lists are trained on."""
    source: str | None = None
    """Folder with a `knn` table to take the neighbors from instead of searching, as jobs/import_features.py writes it."""

    def __post_init__(self) -> None:
        _require(self.k >= 2, f"knn.k is {self.k}: a row and at least one neighbor make 2.")
        _require(self.probes >= 1, f"knn.probes is {self.probes}: at least one list has to be searched.")
        _require(self.lists is None or self.lists >= 1, f"knn.lists is {self.lists}: it must be at least 1.")
        _require(self.seed >= 0, f"knn.seed is {self.seed}: it must not be negative.")


@dataclass(frozen=True)
class TopkConfig:
    """How many of a row's neighbors to trust."""

    source: str | None = None
    """Parquet with columns `id` and `k`, a count in 1..knn.k a row, made elsewhere; none trusts all k neighbors."""


@dataclass(frozen=True)
class EdgesConfig:
    """Which neighbor pairs become weighted edges."""

    rule: Literal["threshold", "early-stop", "gap"] = "threshold"
    """`threshold`: similarity >= threshold, undirected. `early-stop`: FC-ES walk on NEP, directed. `gap`: FaceMap."""
    threshold: float | None = None
    """Lowest similarity of an edge, for rule `threshold`; none picks it from the data. Raising it splits more."""
    theta: float = 0.22
    """NEP at which the walk of rule `early-stop` ends. Raising it splits more."""
    transform: Literal["exponential", "sigmoid"] = "exponential"
    """Edge probability before NEP: FC-ES's exponential or S1's sigmoid (eq. 6)."""
    tau: float = 0.5
    """Temperature of the exponential transform. Raising it makes near and far neighbors count more alike."""
    delta: float = 7.5
    """Slope of the sigmoid transform. Raising it makes the drop from near to far steeper."""
    epsilon: float = -5.0
    """Offset of the sigmoid transform. Raising it lets only nearer neighbors count."""
    gap_window: int = 20
    """Gaps before the one under test that rule `gap` compares it with."""
    gap_z: float = 3.0
    """Standard scores above which a gap cuts the neighbor list in rule `gap`. Raising it keeps more neighbors."""
    reserve: float = 0.1
    """How far below the threshold (or theta) edges are still stored, so that a finished run can be swept."""

    def __post_init__(self) -> None:
        if self.threshold is not None:
            _require(-1 <= self.threshold <= 1, f"edges.threshold is {self.threshold}: a cosine lies in -1..1.")
        for name in ("tau", "delta", "epsilon", "gap_z", "reserve"):
            value = getattr(self, name)
            _require(math.isfinite(value), f"edges.{name.replace('_', '-')} is {value}: it must be a finite number.")
        _require(0 <= self.theta <= 1, f"edges.theta is {self.theta}: NEP lies in 0..1.")
        _require(self.tau > 0, f"edges.tau is {self.tau}: it must be above 0.")
        _require(self.gap_window >= 2, f"edges.gap-window is {self.gap_window}: it must be at least 2.")
        _require(self.reserve >= 0, f"edges.reserve is {self.reserve}: it must not be negative.")

    @property
    def directed(self) -> bool:
        """Whether an edge has a direction: only the early-stop walk of one row says nothing about the other's."""
        return self.rule == "early-stop"


@dataclass(frozen=True)
class CommunitiesConfig:
    """Partition of the edge list: the one global step."""

    engine: Literal["infomap", "components"] = "infomap"
    """Map equation (two-level Infomap) or connected components."""
    seed: int = 1
    """Random seed of the first trial; trial j uses seed + j."""
    trials: int = 1
    """Independent runs of Infomap; the lowest codelength wins, ties go to the lowest trial."""
    isolate_without_out_edges: bool = False
    """FC-ESER's option: a row without an outgoing edge is a singleton even if Infomap placed it."""
    memory_gib: float | None = None
    """Memory this step may use; none means what the machine has free."""

    def __post_init__(self) -> None:
        _require(1 <= self.seed < 2**31, f"communities.seed is {self.seed}: Infomap takes seeds from 1 to 2147483647.")
        _require(self.trials >= 1, f"communities.trials is {self.trials}: it must be at least 1.")
        if self.memory_gib is not None:
            _require(self.memory_gib > 0, f"communities.memory-gib is {self.memory_gib}: it must be above 0.")


@dataclass(frozen=True)
class LabelsConfig:
    """What is said of every row and cluster."""

    min_cluster_size: int = 2
    """Rows in a smaller cluster are outliers. 1 makes none by size."""
    min_strength: float = 0.0
    """Rows that belong to their cluster less than this (0..1) are outliers."""

    def __post_init__(self) -> None:
        _require(self.min_cluster_size >= 1, f"labels.min-cluster-size is {self.min_cluster_size}: at least 1.")
        _require(0 <= self.min_strength <= 1, f"labels.min-strength is {self.min_strength}: it lies in 0..1.")


@dataclass(frozen=True)
class Config:
    """Everything that decides the labels."""

    recipe: str = DEFAULT_RECIPE
    """Name of a recipe of the package or path of a YAML file: the values every other key starts from."""
    id_column: str = "id"
    """Column with one unique id a row: integers, strings or binary."""
    embedding_column: str = "embedding"
    """Column with the vectors: lists of floats, all of one length."""
    embeddings: EmbeddingsConfig = field(default_factory=EmbeddingsConfig)
    knn: KnnConfig = field(default_factory=KnnConfig)
    topk: TopkConfig = field(default_factory=TopkConfig)
    edges: EdgesConfig = field(default_factory=EdgesConfig)
    communities: CommunitiesConfig = field(default_factory=CommunitiesConfig)
    labels: LabelsConfig = field(default_factory=LabelsConfig)

    def __post_init__(self) -> None:
        early = self.edges.rule == "early-stop"
        _require(early or self.topk.source is None, "topk.source has no use without edges.rule early-stop.")


def recipe_names() -> list[str]:
    """Names of the recipes that come with the package."""
    folder = resources.files("raycluster") / "recipes"
    return sorted(Path(entry.name).stem for entry in folder.iterdir() if entry.name.endswith(".yaml"))


def load_config(recipe: str = DEFAULT_RECIPE, overrides: dict[str, Any] | None = None, source: str = "") -> Config:
    """The configuration of a recipe (name or YAML path) with `overrides`, a nested mapping read from `source`.

    Raises ConfigError for an unknown recipe or key, naming the nearest, and for a value of the wrong type or range.
    """
    if not isinstance(recipe, str):
        raise ConfigError(f"{source} sets 'recipe' to {recipe!r}; it takes the name of a recipe or a YAML file.")
    if recipe in recipe_names():
        text = (resources.files("raycluster") / "recipes" / f"{recipe}.yaml").read_text("utf-8")
        values = _read_yaml(text, f"recipe {recipe}")
    elif recipe.endswith((".yaml", ".yml")):
        values = load_yaml(recipe)
    else:
        raise ConfigError(f"There is no recipe '{recipe}'{_nearest(recipe, recipe_names())}.")
    values.pop("description", None)
    config = apply(Config(recipe=recipe), values, f"recipe {recipe}")
    return apply(config, overrides or {}, source)


def load_yaml(path: str) -> dict[str, Any]:
    """The mapping in a YAML file; raises ConfigError where the file is missing or holds something else."""
    try:
        text = Path(path).read_text("utf-8")
    except OSError as error:
        raise ConfigError(f"The configuration file {path} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"The configuration file {path} is not UTF-8 text.") from error
    return _read_yaml(text, path)


def _read_yaml(text: str, source: str) -> dict[str, Any]:
    try:
        values = yaml.safe_load(text) or {}
    except yaml.YAMLError as error:
        raise ConfigError(f"{source} is not valid YAML: {' '.join(str(error).split())}.") from error
    if not isinstance(values, dict):
        raise ConfigError(f"{source} must hold a mapping of stage names to keys.")
    return values


def apply(config: Section, values: dict[str, Any], source: str, prefix: str = "") -> Section:
    """A copy of a configuration dataclass with the nested mapping `values`, read from `source`, laid over it."""
    hints = typing.get_type_hints(type(config))
    changes: dict[str, Any] = {}
    for raw, value in values.items():
        name = str(raw).replace("-", "_")
        if name not in hints:
            raise ConfigError(f"{source} sets '{prefix}{raw}', which is no key{_nearest(name, list(hints), prefix)}.")
        if dataclasses.is_dataclass(hints[name]):
            if not isinstance(value, dict):
                raise ConfigError(f"{source} sets '{prefix}{raw}' to {value!r}, but it takes a mapping of keys.")
            changes[name] = apply(getattr(config, name), value, source, f"{name}.")
        else:
            changes[name] = _checked(value, hints[name], f"{source} sets '{prefix}{raw}'")
    return dataclasses.replace(config, **changes)  # type: ignore[type-var]


def _checked(value: Any, kind: Any, what: str) -> Any:
    choices = typing.get_args(kind)
    if typing.get_origin(kind) is Literal:
        if value not in choices:
            raise ConfigError(f"{what} to {value!r}; it takes one of {', '.join(map(str, choices))}.")
        return value
    if isinstance(kind, types.UnionType):
        return None if value is None else _checked(value, choices[0], what)
    if kind is float and type(value) is int:
        return float(value)
    if type(value) is not kind:
        raise ConfigError(f"{what} to {value!r}; it takes a value of type {kind.__name__}.")
    return value


def _nearest(name: str, known: list[str], prefix: str = "") -> str:
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.4)
    return f"; did you mean '{prefix}{near[0]}'" if near else f"; there are {', '.join(known)}"


def differences(old: dict[str, Any], new: dict[str, Any], prefix: str = "") -> list[str]:
    """Where two configurations written as nested mappings differ, as `key: old -> new`."""
    found = []
    for name in sorted(old.keys() | new.keys()):
        before, after = old.get(name), new.get(name)
        if isinstance(before, dict) and isinstance(after, dict):
            found += differences(before, after, f"{prefix}{name}.")
        elif before != after:
            found.append(f"{prefix}{name}: {before} -> {after}")
    return found


def fingerprint(*parts: Any) -> str:
    """Twelve hex digits that change when any of `parts` (JSON-ready values or dataclasses) does."""
    plain = [dataclasses.asdict(part) if dataclasses.is_dataclass(part) else part for part in parts]  # type: ignore[arg-type]
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()[:12]

"""Configuration: one frozen dataclass a stage. `raycluster.config.load` fills it from recipe, YAML file and command line."""

import math
from dataclasses import dataclass, field
from typing import Annotated, Literal

import tyro

from raycluster.errors import ConfigError

DEFAULT_RECIPE = "auto"
INTERNAL_KEYS = ("model_digest",)
"""Fields of `Config` that raycluster fills in itself: neither a YAML file nor the command line can set them."""


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
    index: Literal["auto", "exact", "ivf"] = "auto"
    """`ivf` reads only the inverted lists that matter: faster from 100,000s of rows on, and a little recall is lost, which
    is measured. `auto` is ivf from 200,000 rows on unless the engine is faiss; where there are GPUs, `exact` is faster."""
    recall: float = 0.98
    """Share of a row's k - 1 true neighbors that `ivf` has to find, below 1: how much it reads is chosen from a sample of
    exact rows. Raising it takes longer; where it would ask for most of the rows, all are read and recall is 1."""
    engine: Literal["auto", "gemm", "faiss"] = "auto"
    """Who compares all rows: our gemm kernel, or faiss flat. `auto` is faiss on a GPU and gemm on a CPU."""
    storage: Literal["float32", "float16"] = "float32"
    """Precision of the searched vectors. `float16` halves their memory and moves a similarity by up to 0.001."""
    lists: int | None = None
    """Inverted lists of `ivf`; none means 8 times the square root of the rows. More of them cost more to train and to
    compare with, and let a row read less."""
    probes: int | None = None
    """Inverted lists read a row, instead of what `recall` asks for. Raising it raises recall and time in proportion."""
    seed: int = 0
    """Seed of the samples: that which the inverted lists are trained on and those which recall is measured on."""
    source: str | None = None
    """Folder with a `knn` table to take the neighbors from instead of searching, as jobs/import_features.py writes it."""

    def __post_init__(self) -> None:
        _require(self.k >= 2, f"knn.k is {self.k}: a row and at least one neighbor make 2.")
        _require(
            0 < self.recall < 1, f"knn.recall is {self.recall}: it lies between 0 and 1; knn.index exact finds all."
        )
        _require(self.probes is None or self.probes >= 1, f"knn.probes is {self.probes}: it must be at least 1.")
        _require(self.lists is None or self.lists >= 1, f"knn.lists is {self.lists}: it must be at least 1.")
        _require(self.seed >= 0, f"knn.seed is {self.seed}: it must not be negative.")


@dataclass(frozen=True)
class TopkConfig:
    """How many of a row's neighbors to trust."""

    source: str | None = None
    """Parquet with columns `id` and `k`, a count in 1..knn.k a row, made elsewhere."""
    predict: bool = False
    """Predict the counts with the model's adaptive filter. Without either, all k neighbors are trusted."""

    def __post_init__(self) -> None:
        _require(not (self.predict and self.source), "topk.source and topk.predict exclude each other.")


@dataclass(frozen=True)
class ContextsConfig:
    """Rows told by their context: a vector a row that holds what its nearest neighbors say of it (S3)."""

    encode: bool = False
    """Encode every row with the model's Relation Encoder; scores are then read from contexts, not from embeddings."""


@dataclass(frozen=True)
class RelationsConfig:
    """A learned judge of \"same identity?\"."""

    score: Literal["none", "recall", "all"] = "none"
    """Neighbors scored by the model: none, those that the early-stop walk left out (S1's edge recall), or all."""


@dataclass(frozen=True)
class DensityConfig:
    """Density of every row on the transition matrix P of the neighbor lists, for rule `density-peaks` (S2)."""

    kind: Literal["diffusion", "volume"] = "diffusion"
    """`diffusion`: NDDe, density spread along P until it settles (eq. 2); `volume`: the sum of a row's similarities, the
    standard density that grows with the size of an identity."""
    similarity: Literal["auto", "cosine", "probability"] = "auto"
    """What P is made from: `auto` is the learned score where relations.score is all, else the cosine; `cosine`, cut at 0;
    or the edge `probability` of edges.transform."""
    nearest: int | None = None
    """Ranks of a neighbor list that density is spread over, the row itself included; none means all knn.k."""
    sigma: float | None = 0.5
    """P is softmax(-(1 - s) / sigma), as in the published code; none divides similarities by their sum, as printed
    and as edge probabilities always are. Lowering it lets only the nearest count."""
    steps: int = 100
    """Diffusion steps at most. 1, with nearest 20, is the published approximation."""

    def __post_init__(self) -> None:
        _require(
            self.nearest is None or self.nearest >= 2, f"density.nearest is {self.nearest}: it must be at least 2."
        )
        _require(self.steps >= 1, f"density.steps is {self.steps}: it must be at least 1.")
        _require_sharpness("density.sigma", self.sigma)


def _require_sharpness(key: str, sigma: float | None) -> None:
    _require(sigma is None or 0.001 <= sigma < math.inf, f"{key} is {sigma}: it must be a finite number from 0.001 up.")


@dataclass(frozen=True)
class EdgesConfig:
    """Which neighbor pairs become weighted edges."""

    rule: Literal["threshold", "score", "early-stop", "gap", "density-peaks"] = "threshold"
    """`threshold` on similarity or `score` on the learned score, undirected; `early-stop`: FC-ES walk on NEP, directed;
    `gap`: FaceMap; `density-peaks`: every row to its closest denser neighbor (S2)."""
    threshold: float | None = None
    """Lowest similarity of an edge, for rule `threshold`; none picks it from the data. Raising it splits more."""
    theta: float | None = 0.22
    """NEP at which the walk of rule `early-stop` ends; none takes the model's. Raising it splits more."""
    eta: float | None = None
    """Lowest learned score, 0..1, of an edge; none takes the model's. Raising it splits more."""
    valley: bool = False
    """Whether eta, where not given, is the score between those of one identity and those of two of which the set has fewest pairs
    (`graph/valley.py`), if it shows such a valley; in a set that shows none edges must also reach the threshold of similarity
    that its far ranks suggest (`threshold.py`)."""
    combine: Literal["mean", "geometric", "minimum", "maximum"] = "mean"
    """How rule `score` joins the scores of a pair's two ends. The minimum believes in fewer edges than the mean, the maximum
    in more: one end's word is enough (S3)."""
    weight: Literal["score", "odds"] = "score"
    """What an edge of rule `score` weighs: its score, or the odds of it, score / (1 - score), by which sure edges hold more
    against many doubtful ones: at most 32, or 10 times those at eta where that is at the set's own valley."""
    transform: Literal["exponential", "sigmoid"] = "exponential"
    """Edge probability before NEP: FC-ES's exponential or S1's sigmoid (eq. 6)."""
    tau: float = 0.5
    """Temperature of the exponential transform. Raising it makes near and far neighbors count more alike."""
    delta: float = 7.5
    """Slope of the sigmoid transform. Raising it makes the drop from near to far steeper."""
    distance: Literal["tpdi", "cosine"] = "tpdi"
    """How far rows lie apart in rule `density-peaks`: S2's transition-probability-based distance, or 1 - cosine."""
    sigma: float | None = 0.05
    """Of the transition probabilities in TPDi, as density.sigma is of the density. Lowering it splits more."""
    closeness: float | None = 0.3
    """What 1 - distance of a row and its closest denser neighbor must exceed to join them, 1 less S2's tau of 0.7; none
    takes the model's. Raising it splits more."""
    reserve: float = 0.1
    """How far below the threshold (theta, eta, closeness) edges are still stored, so that a finished run can be swept."""

    def __post_init__(self) -> None:
        if self.threshold is not None:
            _require(-1 <= self.threshold <= 1, f"edges.threshold is {self.threshold}: a cosine lies in -1..1.")
        for name in ("tau", "delta", "reserve"):
            value = getattr(self, name)
            _require(math.isfinite(value), f"edges.{name.replace('_', '-')} is {value}: it must be a finite number.")
        _require(self.theta is None or 0 <= self.theta <= 1, f"edges.theta is {self.theta}: NEP lies in 0..1.")
        _require(self.eta is None or 0 <= self.eta <= 1, f"edges.eta is {self.eta}: a score lies in 0..1.")
        _require(
            self.closeness is None or 0 <= self.closeness <= 1,
            f"edges.closeness is {self.closeness}: it lies in 0..1, as 1 - distance does.",
        )
        _require_sharpness("edges.sigma", self.sigma)
        _require(self.tau > 0, f"edges.tau is {self.tau}: it must be above 0.")
        _require(self.reserve >= 0, f"edges.reserve is {self.reserve}: it must not be negative.")

    @property
    def directed(self) -> bool:
        """Whether an edge has a direction: only the early-stop walk of one row says nothing about the other's."""
        return self.rule == "early-stop"


@dataclass(frozen=True)
class CommunitiesConfig:
    """Partition of the edge list: the one global step."""

    engine: Literal["auto", "infomap", "native", "components"] = "auto"
    """Map equation, by Infomap or by our own solver (`native`: many threads, a quarter of the memory), or connected
    components. `auto` is Infomap below a million edges and `native` from there on."""
    seed: int = 1
    """Random seed of the first trial; trial j uses seed + j."""
    trials: int = 1
    """Independent runs of the map equation; the lowest codelength wins, ties go to the lowest trial."""
    fragments: bool = False
    """Whether communities whose neighbor lists name themselves alone are looked at again, a few rows of each as a set of its own,
    and joined where they are pieces of one identity larger than K (`stages/fragments.py`)."""
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
    """Rows whose strength (0..1) is below this are outliers: with a model that was calibrated for it, the probability that
    the row is of its cluster's majority identity; else the share of the row's edge weight that stays in its cluster."""

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
    model: str | None = None
    """Model folder of jobs/train.py, for recipes with a trained network."""
    model_digest: Annotated[str | None, tyro.conf.Fixed, tyro.conf.Suppress] = None
    """Internal: SHA-256 of the model's card.json, filled in when a run starts. A run that resumes refuses another model."""
    embeddings: EmbeddingsConfig = field(default_factory=EmbeddingsConfig)
    knn: KnnConfig = field(default_factory=KnnConfig)
    topk: TopkConfig = field(default_factory=TopkConfig)
    contexts: ContextsConfig = field(default_factory=ContextsConfig)
    relations: RelationsConfig = field(default_factory=RelationsConfig)
    density: DensityConfig = field(default_factory=DensityConfig)
    edges: EdgesConfig = field(default_factory=EdgesConfig)
    communities: CommunitiesConfig = field(default_factory=CommunitiesConfig)
    labels: LabelsConfig = field(default_factory=LabelsConfig)

    def __post_init__(self) -> None:
        rule, score = self.edges.rule, self.relations.score
        for name, given in (("source", self.topk.source is not None), ("predict", self.topk.predict)):
            _require(
                rule == "early-stop" or score != "none" or not given,
                f"topk.{name} has no use without edges.rule early-stop or a learned score.",
            )
        _require(score != "recall" or rule == "early-stop", "relations.score recall needs edges.rule early-stop.")
        _require(rule != "score" or score == "all", "edges.rule score needs relations.score all.")
        _require(
            rule != "score" or self.edges.threshold is None,
            f"edges.threshold has no use in the recipe {self.recipe}, whose edges are kept by a learned score; set "
            "edges.eta, or choose --recipe cosine.",
        )
        _require(
            score != "all" or rule in ("score", "density-peaks"),
            "relations.score all needs edges.rule score or density-peaks.",
        )
        _require(score == "all" or not self.contexts.encode, "contexts.encode has no use without relations.score all.")
        _require(
            not self.communities.fragments
            or not (self.topk.predict or self.topk.source or self.contexts.encode or score == "recall"),
            f"communities.fragments is not for the recipe {self.recipe}: it takes recipes without Top-K, contexts or recall.",
        )
        if rule == "density-peaks":
            _require(
                self.communities.engine == "components",
                "edges.rule density-peaks needs communities.engine components: its trees are the clusters.",
            )
            _require(
                score == "none" or self.density.similarity == "auto",
                f"density.similarity {self.density.similarity} makes no use of the scores of relations.score {score}.",
            )
            _require(
                self.density.nearest is None or self.density.nearest <= self.knn.k,
                f"density.nearest is {self.density.nearest}: a list has only knn.k {self.knn.k} ranks.",
            )

    @property
    def needs_model(self) -> bool:
        """Whether a stage asks a trained network."""
        return self.topk.predict or self.relations.score != "none"

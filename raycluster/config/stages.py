"""Settings of the stages: a frozen dataclass per stage, and `Config` of them all.

`raycluster.config.load` fills them from a recipe, a YAML file and the command line. The text below a key is its help.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Literal

from msgspec import Meta

from raycluster.config import rules
from raycluster.config.checks import Count, Section, Share

DEFAULT_RECIPE = "auto"
INTERNAL_KEYS = ("model_digest",)
"""Fields of `Config` that raycluster fills in itself: neither a YAML file nor the command line can set them."""
Sharpness = Annotated[float, Meta(ge=0.001)]
"""Temperature of a softmax over similarities, from 0.001 up: below that its exponentials leave float64."""


@dataclass(frozen=True)
class EmbeddingsConfig(Section):
    """Reading, checking and normalizing the vectors of the input."""

    prefix: ClassVar[str] = "embeddings."

    on_bad_row: Literal["error", "drop"] = "error"
    """What happens to a row with NaN, infinity, null or only zeros. `error` stops the run and names the row; `drop`
    leaves the row out and lists it in `dropped.parquet`."""
    duplicates: Literal["collapse", "keep"] = "collapse"
    """What happens to rows whose vectors are bit for bit the same. `collapse` searches neighbors of the first of them only and
    gives its cluster to all. It does so where a quarter of the rows are copies, or one vector fills half a list. `keep` lets
    every copy stand in neighbor lists. Neighbors or counts that were computed elsewhere (knn.source,
    topk.source) keep all rows."""


@dataclass(frozen=True)
class KnnConfig(Section):
    """Search for the k nearest neighbors of every row by cosine."""

    prefix: ClassVar[str] = "knn."

    k: Annotated[int, Meta(ge=2)] = 80
    """Length of a neighbor list, from 2 up; the row itself counts as one. Raising it finds more of a large identity. Memory
    and the time of every later stage rise in proportion. The papers use 80."""
    index: Literal["auto", "exact", "ivf"] = "auto"
    """How neighbors are searched. `exact` compares all rows. `ivf` reads only the inverted lists near a row: faster from
    some 100,000 rows on, and the recall that it loses is measured. `auto` is ivf from 200,000 rows on unless the engine is
    faiss. On GPUs exact is faster."""
    recall: Annotated[float, Meta(gt=0, lt=1)] = 0.98
    """Share of a row's k - 1 true neighbors that `ivf` must find, above 0 and below 1. The number of inverted lists read per
    row follows from it, by a sample of rows that are searched exactly. Raising it takes longer. Where it needs most of the
    rows, all are read and the recall is 1."""
    engine: Literal["auto", "gemm", "faiss"] = "auto"
    """What compares all rows: our matrix product kernel (`gemm`), or `faiss`. `auto` is faiss on GPUs and gemm on CPUs."""
    storage: Literal["float32", "float16"] = "float32"
    """Precision of the vectors during the search. `float16` halves their memory and moves a similarity by up to 0.001."""
    lists: Count | None = None
    """Number of inverted lists of `ivf`, from 1 up; None is 4 times the square root of the number of rows. Raising it costs
    more in training and comparison with centroids, and a row reads fewer vectors."""
    probes: Count | None = None
    """Inverted lists read per row, from 1 up; None derives them from `recall`. Raising it raises recall, and time in
    proportion."""
    seed: Annotated[int, Meta(ge=0)] = 0
    """Seed, from 0 up, of the rows that inverted lists are trained on and that recall is measured on."""
    source: str | None = None
    """Folder or URL of a `knn` table to read neighbors from, instead of a search. `jobs/import_features.py` writes one."""


@dataclass(frozen=True)
class TopkConfig(Section):
    """Top-K of every row: how many of its neighbors to trust (Ada-NETS; S1 eq. 7).

    Without either key, all k are trusted.
    """

    prefix: ClassVar[str] = "topk."

    source: str | None = None
    """Parquet file with columns `id` and `k`: the Top-K of every row, 1 to knn.k, computed elsewhere."""
    predict: bool = False
    """Whether the model's adaptive filter predicts the Top-K of every row."""

    def conflicts(self) -> Iterator[str]:
        """Yield a sentence where the counts have two origins."""
        if self.predict and self.source:
            yield "topk.source and topk.predict exclude each other."


@dataclass(frozen=True)
class ContextsConfig(Section):
    """Contexts: a vector per row, computed from it and its nearest neighbors (S3)."""

    prefix: ClassVar[str] = "contexts."

    encode: bool = False
    """Whether the model's Relation Encoder computes a context per row, which scores then read in place of embeddings."""


@dataclass(frozen=True)
class RelationsConfig(Section):
    """Learned scores: how probably a row and its neighbor are the same identity."""

    prefix: ClassVar[str] = "relations."

    score: Literal["none", "recall", "all"] = "none"
    """Neighbors that the model scores. `recall` is the edge recall of FC-ESER and S1: it scores those that the early-stop walk
    left out, down to the lowest NEP that the model was calibrated to."""


@dataclass(frozen=True)
class DensityConfig(Section):
    """Density of every row on the transition matrix P of the neighbor lists (S2).

    Only edges.rule density-peaks reads it.
    """

    prefix: ClassVar[str] = "density."

    kind: Literal["diffusion", "volume", "ball", "connectivity"] = "diffusion"
    """`diffusion` spreads density along P until it hardly changes (NDDe, S2 eq. 2). `volume` is the sum of a row's
    similarities, which grows with the size of an identity; `ball` the number of neighbors within `radius`, the standard
    density of density peaks. `connectivity` sums the products of cosine and learned score (LCEPCE)."""
    radius: Share = 0.5
    """Largest distance, 1 - similarity, of a neighbor that the density `ball` counts, 0 to 1. S2 names no value. Raising it
    counts more neighbors."""
    similarity: Literal["auto", "cosine", "probability"] = "auto"
    """What P is made from: the `cosine`, cut at 0, or the edge `probability` of edges.transform. `auto` is the learned score
    with relations.score all, else the cosine."""
    nearest: Annotated[int, Meta(ge=2)] | None = None
    """Ranks of a neighbor list that density is spread over, from 2 to knn.k, the row itself included; None is all. Raising
    it spreads density farther."""
    sigma: Sharpness | None = 0.5
    """Temperature of P, from 0.001 up: P is softmax(-(1 - s) / sigma), as in S2's published code. None divides similarities
    by their sum, as printed and as edge probabilities always are. Raising it lets far neighbors count more."""
    steps: Annotated[int, Meta(ge=1)] = 100
    """Most steps of diffusion, from 1 up. Raising it matters only where diffusion had not converged. 1, with nearest 20, is
    S2's published approximation."""
    damping: Annotated[float, Meta(ge=0, lt=1)] = 0.0
    """Share of its density that a row keeps in every step, from 0 to below 1. Above 0 the row itself has no probability in P,
    as in S2's published code, whose damping is 0.1. At 0 the probability of the row itself is its share, as printed."""


@dataclass(frozen=True)
class EdgesConfig(Section):
    """Which pairs of neighbors become edges, and with what weight."""

    prefix: ClassVar[str] = "edges."

    rule: Literal["threshold", "score", "early-stop", "gap", "density-peaks"] = "threshold"
    """`threshold` on similarity or on the learned `score`, undirected; `early-stop`: FC-ES walk on NEP, directed (S1);
    `gap`: cut at the first outlying gap (FaceMap); `density-peaks`: every row to its closest denser neighbor (S2)."""
    threshold: Annotated[float, Meta(ge=-1, le=1)] | None = None
    """Lowest cosine of an edge under rule threshold, -1 to 1; None picks it from the data. Raising it splits more."""
    theta: Share | None = 0.22
    """NEP, 0 to 1, below which the early-stop walk ends; None takes the model's. FC-ES publishes 0.22 for its exponential
    transform. Raising it splits more."""
    eta: Share | None = None
    """Lowest learned score of an edge, 0 to 1; None takes the model's, or with `valley` the set's own. Raising it splits
    more."""
    valley: bool = False
    """Whether eta, where it is None, is read from the set: the score between those of one identity and those of two. In a set
    without such a valley edges must also reach the threshold of similarity that the far ranks suggest."""
    combine: Literal["mean", "geometric", "minimum", "maximum"] = "mean"
    """How rule score combines the scores of a pair's two ends. The minimum keeps fewer edges than the mean; the maximum
    keeps more, as one end is enough (S3)."""
    weight: Literal["score", "odds"] = "score"
    """Weight of an edge under rule score: its score, or its odds, score / (1 - score). Odds let a clear edge outweigh many
    doubtful ones. They end at 32, or at 10 times the odds at the set's own valley."""
    transform: Literal["exponential", "sigmoid"] = "exponential"
    """Transform of a similarity to an edge probability before NEP: FC-ES's `exponential` (S1 eq. 4) or S1's `sigmoid`
    (eq. 6)."""
    tau: Annotated[float, Meta(gt=0)] = 0.5
    """Temperature of the exponential transform, above 0; published 0.5. Raising it lets near and far neighbors count more
    alike."""
    delta: float = 7.5
    """Slope of the sigmoid transform; published 7.5. Raising it makes the drop from near to far neighbors steeper."""
    count_pair: bool = True
    """Whether NEP counts the two rows themselves among their neighbors, as published. Without, strangers who only list each
    other have a NEP of 0."""
    distance: Literal["tpdi", "cosine", "connectivity"] = "tpdi"
    """Distance of two rows under rule density-peaks: S2's transition-probability-based distance, 1 - cosine, or 1 - cosine
    times the mean score of both ends. With `connectivity` a row joins all denser neighbors that are certain (LCEPCE)."""
    sigma: Sharpness | None = 0.05
    """Temperature of the transition probabilities in tpdi, from 0.001 up, as density.sigma is of the density. None uses them
    as printed. Raising it splits less."""
    closeness: Share | None = 0.3
    """Closeness, 1 - distance, 0 to 1, that a row and its closest denser neighbor must exceed to be joined. It is 1 less
    S2's tau of 0.7; None takes the model's. Raising it splits more."""
    reserve: Annotated[float, Meta(ge=0)] = 0.1
    """How far below the limit (threshold, theta, eta or closeness) edges are stored as well, from 0 up. A finished run can
    be evaluated at other limits down to there. Raising it takes more storage; no label changes."""

    @property
    def directed(self) -> bool:
        """Whether edges have a direction: in the early-stop walk rows walk apart."""
        return self.rule == "early-stop"


@dataclass(frozen=True)
class CommunitiesConfig(Section):
    """Partition of the weighted edges into communities, on one machine."""

    prefix: ClassVar[str] = "communities."

    engine: Literal["auto", "infomap", "native", "components"] = "auto"
    """Map equation by `infomap` or by our own solver (`native`: many threads, a quarter of the memory), or connected
    `components`. `auto` is infomap below a million edges and native from there on."""
    seed: Annotated[int, Meta(ge=1, le=2**31 - 1)] = 1
    """Random seed of the first trial, 1 to 2147483647. Trial j uses seed + j."""
    trials: Count = 1
    """Independent runs of the map equation, from 1 up. The lowest codelength wins; ties go to the lowest trial. Raising it
    takes in proportion longer and gives a codelength at most as high."""
    fragments: bool = False
    """Whether pieces of identities larger than k are joined. K / 4 rows of every community whose neighbor lists hold
    mostly its own rows are clustered once more as a set of their own."""
    memory_gib: Annotated[float, Meta(gt=0)] | None = None
    """Memory in GiB that this stage may use, above 0; None is what the machine has free. A run that needs more stops before
    the stage starts."""


@dataclass(frozen=True)
class LabelsConfig(Section):
    """Which rows of the result are outliers."""

    prefix: ClassVar[str] = "labels."

    min_cluster_size: Count = 2
    """Rows of the smallest cluster that counts, from 1 up. Above 2, rows of smaller clusters are outliers; up to 2 there are
    none by size, and a row alone is no outlier. Raising it makes more outliers."""
    min_strength: Share = 0.0
    """Least strength, 0 to 1, of a row that is no outlier by strength. With a calibrated model, `auto` included, strength is
    the probability that the row is of its cluster's majority identity. Without, it is the share of the row's edge weight
    that stays in its cluster. Raising it makes more outliers. No row changes its cluster."""


@dataclass(frozen=True)
class Config(Section):
    """Everything that decides the labels."""

    recipe: str = DEFAULT_RECIPE
    """Recipe whose values all other keys start from: a name, as `auto` or `cosine`, or the path of a YAML file."""
    id_column: str = "id"
    """Column of the input with ids: integers, strings or binary, each once."""
    embedding_column: str = "embedding"
    """Column of the input with vectors: lists of numbers, all of one length."""
    model: str | None = None
    """Trained model, for recipes with learned scores: a folder or URL of jobs/train.py, or `auto`, which is shipped."""
    model_digest: str | None = None
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

    def conflicts(self) -> Iterator[str]:
        """Yield a sentence per rule of `raycluster.config.rules` that the settings break."""
        return rules.broken(self)

    @property
    def needs_model(self) -> bool:
        """Whether a stage uses a trained network."""
        return self.topk.predict or self.relations.score != "none"

"""What a recipe says of its networks and how they are trained: the `training` section, read by jobs/train.py alone.

A trained model carries it in its card, so jobs/cluster.py needs only the model.
"""

from dataclasses import dataclass, field
from typing import Literal

from raycluster.errors import ConfigError

Tokens = Literal["embedding+gram", "embedding", "gram"]
LEAST_GENERATED = 20_000
"""The quarter of it with the largest identities still holds enough of them to split."""


def _require(condition: bool, sentence: str) -> None:
    if not condition:
        raise ConfigError(sentence)


@dataclass(frozen=True)
class EncoderConfig:
    """A stack of Transformer layers over the neighbors of a row."""

    layers: int = 3
    """Layers. More see more of how neighbors relate, in proportion slower."""
    heads: int = 8
    """Attention heads."""
    width: int | None = None
    """Width inside the encoder; tokens are projected to it. None keeps the tokens' own width, as S1 has it."""
    hidden: int = 1024
    """Width of the feed-forward part (S1's hidden dimension)."""
    dropout: float = 0.1
    """Share of activations dropped in training."""
    attention: Literal["vanilla", "differential"] = "vanilla"
    """One softmax map, or the difference of two (S1 eq. 9-11)."""
    norm: Literal["before", "after"] = "before"
    """LayerNorm before each sublayer, which trains more steadily, or after its sum with the input (S3 eq. 4)."""
    mask: Literal["none", "topk", "mixture"] = "none"
    """Keys a query sees: all, the first Top-K neighbors (eq. 12), or a mixture of Top-K - u, Top-K, Top-K + u (eq. 13)."""
    mask_step: int = 5
    """u of the mixture."""
    lambda_init: float = 0.8
    """Share of the second map at the start of training (eq. 11)."""

    def __post_init__(self) -> None:
        for name in ("layers", "heads", "hidden", "mask_step"):
            _require(getattr(self, name) >= 1, f"encoder.{name} is {getattr(self, name)}: it must be at least 1.")
        _require(0 <= self.dropout < 1, f"encoder.dropout is {self.dropout}: it lies in 0..1, 1 excluded.")
        _require(0 <= self.lambda_init < 1, f"encoder.lambda_init is {self.lambda_init}: it lies in 0..1, 1 excluded.")
        if self.width is not None:
            unit = self.heads * (2 if self.attention == "differential" else 1)
            _require(
                self.width >= 1 and self.width % unit == 0,
                f"encoder.width is {self.width}: it must be a multiple of {unit}, for {self.heads} heads.",
            )


@dataclass(frozen=True)
class FitConfig:
    """How one network is fitted."""

    optimizer: Literal["sgd", "adamw"] = "sgd"
    """SGD with momentum, as the papers; AdamW learns small networks in far fewer steps."""
    learning_rate: float = 0.01
    """Peak learning rate: linear warm-up, then cosine to zero at `steps`."""
    momentum: float = 0.9
    """Momentum of SGD; AdamW uses its own betas."""
    weight_decay: float = 1e-4
    """Weight decay of all weight matrices."""
    warmup_steps: int = 128
    """Steps in which the learning rate rises from zero."""
    steps: int = 10_000
    """Optimizer steps at most. More fit better and take in proportion longer."""
    batch: int = 256
    """Samples a step, over all workers together: the result does not depend on their number."""
    evaluate_every: int = 500
    """Steps between two looks at the held-out identities, each of which also writes a checkpoint."""
    patience: int = 10
    """Looks without improvement after which training stops; 0 never stops early."""

    def __post_init__(self) -> None:
        for name in ("steps", "batch", "evaluate_every"):
            _require(getattr(self, name) >= 1, f"fit.{name} is {getattr(self, name)}: it must be at least 1.")
        for name in ("warmup_steps", "patience", "weight_decay"):
            _require(getattr(self, name) >= 0, f"fit.{name} is {getattr(self, name)}: it must not be negative.")
        _require(self.learning_rate > 0, f"fit.learning_rate is {self.learning_rate}: it must be above 0.")
        _require(0 <= self.momentum < 1, f"fit.momentum is {self.momentum}: it lies in 0..1, 1 excluded.")


@dataclass(frozen=True)
class FilterConfig:
    """The adaptive filter: how many of a row's neighbors to trust (Ada-NETS; S1 replaces its LSTM by a Transformer)."""

    network: Literal["none", "transformer", "lstm"] = "none"
    """Network that predicts Top-K; `lstm` is the published baseline."""
    source: str | None = None
    """Model folder to take a trained filter from, in place of training one."""
    tokens: Tokens = "embedding+gram"
    """What the network is told of a neighbor: its vector, its row of the Gram matrix of cosines, or both."""
    encoder: EncoderConfig = field(default_factory=lambda: EncoderConfig(layers=2, heads=4, width=128, hidden=512))
    """The Transformer's layers; of the LSTM only `dropout` is used."""
    lstm_width: int = 256
    """Hidden width of either direction of the LSTM."""
    beta: float = 0.5
    """Weight of recall in the target Q; below 1 favors precision, so shorter lists."""
    fit: FitConfig = field(default_factory=lambda: FitConfig(weight_decay=1e-5, steps=40_000, batch=1024))


@dataclass(frozen=True)
class PredictorConfig:
    """The relation predictor: are a row and its neighbor the same identity?"""

    form: Literal["none", "pair", "row", "relative", "linkage", "distance"] = "none"
    """`pair` reads both rows' neighborhoods for one pair (S1); `row` reads one row's and judges all its neighbors; `relative`
    does so on the set's own scale, for any embeddings and any k; `linkage` from contexts of the row and its neighbors (S3),
    `distance` from how far two contexts lie apart (its `only RE`)."""
    hop2: int = 5
    """Nearest neighbors, below knn.k, that the Relation Encoder tells a row's context from; knn.k itself less one is S3's
    hop1. Raising it fits the training set better and, by S3's table 6, others worse. 0 leaves the encoder out (`only LP`)."""
    tokens: Tokens = "embedding+gram"
    """What the network is told of a neighbor. `gram` does not depend on the width or the origin of the embeddings."""
    encoder: EncoderConfig = field(default_factory=EncoderConfig)
    """The layers; with `linkage` those of the Relation Encoder and of the Linkage Predictor, as many and wide in both."""
    head: tuple[int, ...] = ()
    """Hidden widths of the row form's MLP of a row and its neighbor; none makes one layer as wide as the encoder."""
    fit: FitConfig = field(default_factory=FitConfig)

    def __post_init__(self) -> None:
        _require(all(width >= 1 for width in self.head), f"predictor.head is {self.head}: widths are at least 1.")
        _require(
            not self.head or self.form in ("none", "row", "relative"),
            f"predictor.head is for the forms row and relative, not {self.form}.",
        )
        _require(self.hop2 >= 0, f"predictor.hop2 is {self.hop2}: it must not be negative.")
        _require(
            self.form != "distance" or self.hop2 > 0, "predictor.form distance needs a predictor.hop2 of at least 1."
        )
        if self.form == "relative":
            _require(
                self.tokens == "gram", "predictor.form relative reads cosines alone; set predictor.tokens to gram."
            )
            _require(self.encoder.width is not None, "predictor.form relative needs predictor.encoder.width.")
            _require(
                self.encoder.mask == "none", "predictor.form relative sees all neighbors; set encoder.mask to none."
            )
        if self.form in ("linkage", "distance"):
            _require(
                self.tokens == "embedding",
                f"predictor.form {self.form} reads the embeddings; set predictor.tokens to embedding.",
            )
            _require(
                self.encoder.mask == "none", f"predictor.form {self.form} sees all neighbors; set encoder.mask to none."
            )

    @property
    def encodes(self) -> bool:
        """Whether it reads contexts, which a Relation Encoder makes of all rows first."""
        return self.form == "distance" or (self.form == "linkage" and self.hop2 > 0)


@dataclass(frozen=True)
class TrainingConfig:
    """Everything that decides a trained model, besides its data and the stages before it."""

    seed: int = 0
    """Seed of the weights, the order of samples, dropout and the split."""
    folds: int = 5
    """Identities are split in this many parts; the first is held out for early stopping and calibration."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Of matrix products in training: `auto` is bfloat16 where the processor or GPU has it."""
    generated: int = 0
    """Rows of generated identities of 1 to 500 rows to train and calibrate on besides; 0 for none, or 20,000 or more. About
    as many as are labelled make a model that holds for sizes the labelled sets lack. Only for gram tokens."""
    varied: int = 0
    """Sets of some 8,000 generated rows to train on besides or alone, each of another kind (`training.generated.varied`).
    More make a model that holds for more kinds of sets, and take time and 40 MB of storage each. Only for gram tokens."""
    filter: FilterConfig = field(default_factory=FilterConfig)
    predictor: PredictorConfig = field(default_factory=PredictorConfig)

    def __post_init__(self) -> None:
        _require(self.seed >= 0, f"training.seed is {self.seed}: it must not be negative.")
        _require(self.folds >= 2, f"training.folds is {self.folds}: one part is held out, so it must be at least 2.")
        masked = self.predictor.form != "none" and self.predictor.encoder.mask != "none"
        _require(
            self.filter.network != "none" or not masked,
            f"training.predictor.encoder.mask {self.predictor.encoder.mask} needs Top-K; set training.filter.network.",
        )
        _require(self.filter.encoder.mask == "none", "training.filter.encoder.mask is for the predictor only.")
        _require(
            self.generated == 0 or self.generated >= LEAST_GENERATED,
            f"training.generated is {self.generated}: it must be 0 or at least {LEAST_GENERATED}.",
        )
        _require(self.varied >= 0, f"training.varied is {self.varied}: it must not be negative.")
        for name in ("generated", "varied"):
            _require(
                getattr(self, name) == 0 or not self.reads_vectors,
                f"training.{name} needs gram tokens: generated vectors tell nothing of where other embeddings lie.",
            )

    @property
    def reads_vectors(self) -> bool:
        """Whether a network is told the vectors themselves, which ties it to one width and one source of embeddings."""
        of_filter = self.filter.network != "none" and self.filter.tokens != "gram"
        return of_filter or (self.predictor.form != "none" and self.predictor.tokens != "gram")

"""Settings of the networks and their training: the section `training` of a recipe.

Only jobs/train.py reads it. The card of a trained model holds them, so that jobs/cluster.py needs only the model.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Literal

from msgspec import Meta

from raycluster.config.checks import Count, Section

Tokens = Literal["embedding+gram", "embedding", "gram"]
Natural = Annotated[int, Meta(ge=0)]
"""A whole number from 0 up."""
BelowOne = Annotated[float, Meta(ge=0, lt=1)]
"""A number of at least 0 and below 1."""
LEAST_GENERATED = 20_000
"""Fewest generated rows. The quarter with the largest identities still holds enough of them to hold some out; with fewer
rows calibration has no large identity to read limits from."""


@dataclass(frozen=True)
class EncoderConfig(Section):
    """A stack of Transformer layers over the neighbors of a row."""

    prefix: ClassVar[str] = "encoder."

    layers: Count = 3
    """Layers, from 1 up. More layers see more of how neighbors relate, and are in proportion slower. S1 has 3."""
    heads: Count = 8
    """Attention heads, from 1 up. S1 has 8."""
    width: Count | None = None
    """Width inside the encoder, to which tokens are projected: a multiple of the number of heads, or of twice that with
    differential attention. None keeps the width of the tokens, as in S1. Raising it fits more and is slower."""
    head_width: Count | None = None
    """Width of a head, from 1 up, and even with differential attention. None shares the encoder's width among the heads. Raising
    it fits more and is slower."""
    hidden: Count = 1024
    """Width of the feed-forward layer, from 1 up; 1024 in S1. Raising it fits more and is slower."""
    dropout: BelowOne = 0.1
    """Share of activations dropped in training, from 0 to below 1. Raising it fits the training set less closely."""
    attention: Literal["vanilla", "differential"] = "vanilla"
    """`vanilla`: one softmax map. `differential`: the difference of two (S1 eq. 9-11)."""
    norm: Literal["before", "after"] = "before"
    """LayerNorm `before` every sublayer, which trains more steadily, or `after` its sum with the input (S3 eq. 4)."""
    mask: Literal["none", "topk", "topk-scores", "mixture"] = "none"
    """Keys that a query sees. `none`: all. `topk`: the first Top-K neighbors (S1 eq. 12). `topk-scores`: per query the Top-K
    keys of the highest attention scores, the other reading of S1's text. `mixture`: a mixture of Top-K - u, Top-K and
    Top-K + u (S1 eq. 13)."""
    mask_step: Count = 5
    """u of the mask `mixture`, in neighbors, from 1 up; 5 in S1. Raising it forgives larger errors of Top-K."""
    lambda_init: BelowOne = 0.8
    """Share of the second map of differential attention at the start of training (S1 eq. 11), from 0 to below 1."""

    def conflicts(self) -> Iterator[str]:
        """Yield a sentence where the heads do not divide the width, or the maps a head."""
        maps = 2 if self.attention == "differential" else 1
        unit = self.heads * maps
        if self.head_width is not None:
            if self.head_width % maps:
                yield f"encoder.head_width is {self.head_width}: it must be even with differential attention."
        elif self.width is not None and self.width % unit:
            yield f"encoder.width is {self.width}: it must be a multiple of {unit}, for {self.heads} heads."


@dataclass(frozen=True)
class FitConfig(Section):
    """How one network is fitted to the labels."""

    prefix: ClassVar[str] = "fit."

    optimizer: Literal["sgd", "adamw"] = "sgd"
    """`sgd` with momentum, as in the papers. `adamw` fits small networks in far fewer steps."""
    learning_rate: Annotated[float, Meta(gt=0)] = 0.01
    """Highest learning rate, above 0: it rises linearly, then follows `schedule`. Too high a rate diverges."""
    momentum: BelowOne = 0.9
    """Momentum of sgd, from 0 to below 1. AdamW uses its own betas."""
    weight_decay: Annotated[float, Meta(ge=0)] = 1e-4
    """Weight decay of all weight matrices, from 0 up. Raising it keeps weights smaller."""
    schedule: Literal["cosine", "constant"] = "cosine"
    """Learning rate after the warm-up: it falls to zero as a `cosine`, or stays `constant`, as in FC-ESER."""
    warmup_steps: Natural = 128
    """Steps in which the learning rate rises from zero, from 0 up."""
    steps: Count = 10_000
    """Most steps of the optimizer, from 1 up. Raising it fits better and takes in proportion longer."""
    batch: Count = 256
    """Samples per step over all workers together, from 1 up: the result does not depend on the number of workers."""
    evaluate_every: Count = 500
    """Steps between two evaluations on held-out identities, from 1 up. Every evaluation also writes a checkpoint."""
    patience: Natural = 10
    """Evaluations without improvement after which training stops, from 0 up; 0 never stops early."""


@dataclass(frozen=True)
class FilterConfig(Section):
    """The adaptive filter: how many neighbors of a row to trust (Ada-NETS; S1 eq. 7)."""

    prefix: ClassVar[str] = "filter."

    network: Literal["none", "transformer", "lstm"] = "none"
    """Network that predicts Top-K: a `transformer` (S1), or the `lstm` of Ada-NETS."""
    source: str | None = None
    """Model to copy a trained filter from, in place of training one: a folder or URL of jobs/train.py."""
    tokens: Tokens = "embedding+gram"
    """What the network reads of a neighbor: its vector, its row of the Gram matrix of cosines, or both."""
    encoder: EncoderConfig = field(default_factory=lambda: EncoderConfig(layers=2, heads=4, width=128, hidden=512))
    """The Transformer. The LSTM uses only its `dropout`."""
    output: Literal["linear", "sigmoid"] = "linear"
    """Last step of the network: `linear`, cut to 1..k where a count is read, as in Ada-NETS; or `sigmoid`, which begins near 0
    and stays too low. The sigmoid is for models of earlier versions."""
    loss: Literal["absolute", "relative"] = "absolute"
    """What an error costs: by its `absolute` size in neighbors, or `relative` to the true Top-K, as in Ada-NETS. The relative
    loss weighs rows of small Top-K most, so that Top-K is predicted far too low where it varies."""
    lstm_residual: bool = True
    """Whether the LSTM's output is added to its input and each token scaled to unit length, as in Ada-NETS."""
    lstm_width: Count = 256
    """Width of each direction of the LSTM, from 1 up; 256 in Ada-NETS."""
    beta: Annotated[float, Meta(gt=0)] = 0.5
    """Weight of recall in the target Q of Ada-NETS, above 0; published 0.5. Raising it trusts more neighbors."""
    fit: FitConfig = field(default_factory=lambda: FitConfig(weight_decay=1e-5, steps=40_000, batch=1024))


@dataclass(frozen=True)
class PredictorConfig(Section):
    """The relation predictor: are a row and its neighbor the same identity?"""

    prefix: ClassVar[str] = "predictor."

    form: Literal["none", "pair", "row", "relative", "linkage", "distance"] = "none"
    """`pair` reads the neighborhoods of both rows and scores one pair (S1). `row` reads one row's and scores all its
    neighbors. `relative` does so on the set's own scale, for any embeddings and any k. `linkage` reads contexts of the row
    and its neighbors (S3). `distance` scores by the distance of two contexts (S3's "only RE")."""
    hop2: Natural = 5
    """Nearest neighbors that the Relation Encoder computes a row's context from, from 0 to below knn.k. Raising it fits the
    training set better and, by S3's table 6, others worse. 0 leaves the encoder out (S3's "only LP")."""
    tokens: Tokens = "embedding+gram"
    """What the network reads of a neighbor: its vector, its row of the Gram matrix of cosines, or both. `gram` fits
    embeddings of any width and origin."""
    encoder: EncoderConfig = field(default_factory=EncoderConfig)
    """The Transformer. With `linkage`, Relation Encoder and Linkage Predictor are each built so."""
    head: tuple[Count, ...] = ()
    """Hidden widths of the MLP that scores a row and its neighbor, for the forms row, relative and pair. Empty is one layer as
    wide as the encoder. FC-ESER's pair network has 2048 and 2048."""
    adjust: Count | None = None
    """Width that one shared layer brings the four vectors of a pair to before the head, for form pair, from 1 up; 256 in
    FC-ESER. The head then has PReLU and dropout. None leaves the vectors as wide as they are."""
    fit: FitConfig = field(default_factory=FitConfig)

    def conflicts(self) -> Iterator[str]:
        """Yield a sentence per setting that the form cannot be built with."""
        if self.head and self.form not in ("none", "row", "relative", "pair"):
            yield f"predictor.head is for the forms row, relative and pair, not {self.form}."
        if self.adjust is not None and self.form not in ("none", "pair"):
            yield f"predictor.adjust is for the form pair, not {self.form}."
        if self.form == "distance" and self.hop2 == 0:
            yield "predictor.form distance needs a predictor.hop2 of at least 1."
        if self.form == "relative":
            if self.tokens != "gram":
                yield "predictor.form relative reads only cosines; set predictor.tokens to gram."
            if self.encoder.width is None:
                yield "predictor.form relative needs predictor.encoder.width."
            if self.encoder.head_width is not None:
                yield "predictor.form relative shares its width among the heads; leave predictor.encoder.head_width out."
        if self.form in ("linkage", "distance") and self.tokens != "embedding":
            yield f"predictor.form {self.form} reads the embeddings; set predictor.tokens to embedding."
        if self.form in ("relative", "linkage", "distance") and self.encoder.mask != "none":
            yield f"predictor.form {self.form} sees all neighbors; set encoder.mask to none."

    @property
    def encodes(self) -> bool:
        """Whether it reads contexts, which a Relation Encoder computes for all rows first."""
        return self.form == "distance" or (self.form == "linkage" and self.hop2 > 0)


@dataclass(frozen=True)
class TrainingConfig(Section):
    """Everything that decides a trained model besides its data and earlier stages."""

    prefix: ClassVar[str] = "training."

    seed: Natural = 0
    """Seed of the weights, the order of samples, dropout and the split, from 0 up."""
    folds: Annotated[int, Meta(ge=2)] = 5
    """Folds that identities are split into, from 2 up. The first is held out for early stopping and calibration. Raising it
    trains on more identities and calibrates on fewer."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Precision of matrix products in training. `auto` is bfloat16 where the processor or GPU computes with it."""
    generated: Natural = 0
    """Rows of generated identities of 1 to 500 rows to train and calibrate on besides: 0, or 20,000 and more. As many as
    are labelled make a model hold for sizes that the labelled sets lack. For gram tokens only."""
    varied: Natural = 0
    """Sets of some 8,000 generated rows to train on, from 0 up, besides labelled sets or without any. Each is of another kind
    (`raycluster.synthetic.varied`). Raising it makes a model hold for more kinds of sets. Each takes time and 40 MB of
    storage. For gram tokens only."""
    limits: Literal["fitted", "published"] = "fitted"
    """Limits of the rule early-stop. `fitted`: theta, floor and eta together, on held-out identities. `published`: those of
    FC-ESER, theta 0.22, floor 0.12 and eta 0.60; with the sigmoid transform S1's eta, 0.90."""
    filter: FilterConfig = field(default_factory=FilterConfig)
    predictor: PredictorConfig = field(default_factory=PredictorConfig)

    def conflicts(self) -> Iterator[str]:
        """Yield a sentence per setting that another one leaves without what it needs."""
        mask = self.predictor.encoder.mask
        if self.filter.network == "none" and self.predictor.form != "none" and mask != "none":
            yield f"training.predictor.encoder.mask {mask} needs Top-K; set training.filter.network."
        if self.filter.encoder.mask != "none":
            yield "training.filter.encoder.mask is for the predictor only."
        if 0 < self.generated < LEAST_GENERATED:
            yield f"training.generated is {self.generated}: it must be 0 or at least {LEAST_GENERATED}."
        for name in ("generated", "varied"):
            if getattr(self, name) and self.reads_vectors:
                yield f"training.{name} needs gram tokens: generated vectors lie elsewhere than other embeddings."

    @property
    def reads_vectors(self) -> bool:
        """Whether a network reads vectors, which ties it to one width and origin."""
        of_filter = self.filter.network != "none" and self.filter.tokens != "gram"
        return of_filter or (self.predictor.form != "none" and self.predictor.tokens != "gram")

"""Apply a trained model: open it once per process, then compute any range of rows.

    predictor = Predictor.open(url, card, ScoredSet(neighbor, similarity, vectors, facts, ...), threads=...)

    predictor.score_rows(start, stop)                  scores (stop - start, K) of all neighbors

    predictor.score_pairs(start, stop, chosen)         scores of the chosen pairs alone, for the form pair

    TopkFilter.open(url, card, neighbor, vectors, background, threads=...).topk(start, stop)

    ContextEncoder.open(url, card, neighbor, vectors, threads=...).contexts(start, stop)

`open` makes the network, loads its weights and uploads the vectors to a GPU: it belongs into `Stage.open`. `facts` are
`set_statistics.measure(form, ...)`, taken once per run on the driver. A result depends neither on the range of rows nor on
`threads` (see `raycluster.models.blocks`).

Shapes: N rows of the set, K neighbors per row with the row itself at rank 0, D width of the vectors.
"""

from typing import Any

import numpy as np

from raycluster.arrays import Bool, Float32, Int32, Int64, Vectors
from raycluster.kernels.advance import rows_done
from raycluster.models.blocks import BlockRunner
from raycluster.models.card import Card
from raycluster.models.forms import ContextForm, PairForm, RelativeForm, VectorForm, to_float32
from raycluster.models.networks.adaptive_filter import AdaptiveFilter
from raycluster.models.networks.face_transformer import FaceTransformer
from raycluster.models.networks.relation_predictor import PairPredictor
from raycluster.models.networks.relative import RelativePredictor
from raycluster.models.opened import OpenedNetwork, open_network
from raycluster.models.row_blocks import CPU_BLOCK
from raycluster.models.row_scorer import RowForm, RowScorer
from raycluster.models.scored_set import Background, ScoredSet


class TopkFilter:
    """The adaptive filter of a model, on one set; made by `open`."""

    def __init__(self, opened: OpenedNetwork, background: Background) -> None:
        self.near, self.runner, self.block, self.background = opened.near, opened.runner, opened.block, background
        assert isinstance(opened.network, AdaptiveFilter)
        self.network = opened.network

    @classmethod
    def open(
        cls, url: str, card: Card, neighbor: Int32, vectors: Vectors, background: Background, *, threads: int = 1
    ) -> "TopkFilter":
        """Load the filter of the model at `url` for a set.

        Parameters
        ----------
        url
            The model's folder.
        card
            The card in that folder.
        neighbor
            int32 (N, K), -1 where a list is short.
        vectors
            float32 or float16 (N, D), of unit length.
        background
            Median and spread of the cosines of random pairs of the set.
        threads
            Blocks computed at once on a CPU. Raising it changes no result.

        Returns
        -------
        TopkFilter
            The filter, ready for any rows of the set.

        Raises
        ------
        InputError
            Where the set does not fit the model, or the weights are missing or damaged.
        """
        return cls(open_network(url, card, "filter", neighbor, vectors, vectors, threads), background)

    def topk(self, start: int, stop: int) -> Int64:
        """Return the predicted Top-K (stop - start,) of rows start..stop, in 1..K."""

        def count(rows: Int64) -> Any:
            return self.network.topk(self.network(*self.near.gather(rows), self.background)).cpu().numpy()

        out = np.empty(stop - start, np.int64)
        return self.runner.fill(out, start, len(self.near.neighbor), self.block, count)


class ContextEncoder:
    """The Relation Encoder of a Face Transformer (S3), on one set; made by `open`."""

    def __init__(self, opened: OpenedNetwork) -> None:
        self.near, self.runner = opened.near, opened.runner
        assert isinstance(opened.network, FaceTransformer)
        self.network = opened.network
        self.block = CPU_BLOCK["context"] if self.near.device.type == "cpu" else opened.block

    @classmethod
    def open(cls, url: str, card: Card, neighbor: Int32, vectors: Vectors, *, threads: int = 1) -> "ContextEncoder":
        """Load the encoder of the model at `url` for a set.

        Parameters
        ----------
        url
            The model's folder.
        card
            The card in that folder.
        neighbor
            int32 (N, K), -1 where a list is short.
        vectors
            float32 or float16 (N, D), of unit length.
        threads
            Blocks computed at once on a CPU. Raising it changes no result.

        Returns
        -------
        ContextEncoder
            The encoder, ready for any rows of the set.

        Raises
        ------
        InputError
            Where the set does not fit the model, or the weights are missing or damaged.
        """
        return cls(open_network(url, card, "predictor", neighbor, vectors, vectors, threads))

    def contexts(self, start: int, stop: int) -> Float32:
        """Return the contexts (stop - start, width) of rows start..stop."""

        def encode(rows: Int64) -> Float32:
            return to_float32(self.network.encode(*self.near.gather(rows, self.network.nearest)))

        out = np.empty((stop - start, self.network.width), np.float32)
        return self.runner.fill(out, start, len(self.near.neighbor), self.block, encode)


class Predictor(RowScorer):
    """The relation predictor of a model in torch, on one set; made by `open`."""

    def __init__(self, card: Card, opened: OpenedNetwork, form: RowForm | PairForm) -> None:
        super().__init__(card, opened.near.neighbor, form, opened.runner)
        self.near, self.network = opened.near, opened.network
        self.runner: BlockRunner = opened.runner

    @classmethod
    def open(cls, url: str, card: Card, scored_set: ScoredSet, *, threads: int = 1) -> "Predictor":
        """Load the predictor of the model at `url` for a set.

        Parameters
        ----------
        url
            The model's folder.
        card
            The card in that folder.
        scored_set
            The set.
        threads
            Blocks computed at once on a CPU. Raising it changes no result.

        Returns
        -------
        Predictor
            The predictor, ready for any rows of the set.

        Raises
        ------
        InputError
            Where the set does not fit the model, or the weights are missing or damaged.
        """
        vectors, contexts = scored_set.vectors, scored_set.contexts
        gathered = vectors if contexts is None else contexts
        opened = open_network(url, card, "predictor", scored_set.neighbor, vectors, gathered, threads)
        return cls(card, opened, _form(opened, scored_set))

    def logits_of_pairs(self, start: int, stop: int, chosen: Bool) -> Float32:
        """Return logits (stop - start, K) of chosen pairs; NaN elsewhere.

        Parameters
        ----------
        start
            First row.
        stop
            Row after the last.
        chosen
            bool (stop - start, K), the pairs of a row and a neighbor; none may be of a missing neighbor.

        Returns
        -------
        float32 (stop - start, K)
            NaN where no pair was chosen.
        """
        form = self.form
        if not isinstance(form, PairForm):
            return super().logits_of_pairs(start, stop, chosen)
        neighbor = self.near.neighbor[start:stop]
        assert (neighbor[chosen] >= 0).all(), "a pair needs a neighbor"
        row, rank = np.nonzero(chosen)
        # on a CPU no batch holds pairs of two rows, else a shard's first row would decide who is batched with whom
        within = np.arange(len(row)) - (np.searchsorted(row, row) if self.near.device.type == "cpu" else 0)
        logits = np.full(chosen.shape, np.nan, np.float32)

        def fill(first: int, last: int) -> None:
            i, own_rank = row[first:last], rank[first:last]
            logits[i, own_rank] = form.logits(i + start, neighbor[i, own_rank])
            rows_done((stop - start) * (last - first) / len(row))

        firsts = np.flatnonzero(within % form.block == 0).tolist()
        self.runner.run(fill, firsts, [*firsts[1:], len(row)])
        return logits


def _form(opened: OpenedNetwork, scored_set: ScoredSet) -> RowForm | PairForm:
    """What the network reads of the set."""
    network, near, block = opened.network, opened.near, opened.block
    assert not isinstance(network, AdaptiveFilter), "the filter predicts Top-K"
    if isinstance(network, RelativePredictor):
        return RelativeForm(network, near, scored_set, block)
    if isinstance(network, PairPredictor):
        return PairForm(network, near, scored_set.topk, block)
    if isinstance(network, FaceTransformer):
        return ContextForm(network, near, block)
    return VectorForm(network, near, scored_set, block)

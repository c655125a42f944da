"""The form relative on a processor: which neighbors are scored, in which batches.

Shapes: B rows of a block, S neighbors per row that get a logit, the row itself included.
"""

import numpy as np
from threadpoolctl import threadpool_limits

from raycluster.arrays import Float32, Int64
from raycluster.models.card import Card
from raycluster.models.compiled.relative import CompiledRelative, SetTables
from raycluster.models.ranked_columns import RankedColumns
from raycluster.models.relative_terms import MOST
from raycluster.models.requirements import require_width
from raycluster.models.row_blocks import CPU_BLOCK
from raycluster.models.scored_set import ScoredSet
from raycluster.models.set_statistics import RANKS, lengths, ranks_within
from raycluster.models.weights import load_arrays

TOKENS = 320
"""Tokens computed at once: 4 rows of 80 neighbors. Their widest activations take 0.4 MB, which stays in a core's cache.
Twice as many are a tenth slower. Results differ in their last bits with it, so it belongs to the labels."""


class CompiledForm:
    """Scores neighbors by a compiled predictor.

    Rows with lists of one length are computed together.

    Parameters
    ----------
    network
        The predictor, on the scale of the set.
    scored_set
        The set.
    """

    def __init__(self, network: CompiledRelative, scored_set: ScoredSet) -> None:
        self.network, self.statistics = network, scored_set.statistics
        self.similarity = similarity = scored_set.similarity
        values, columns = similarity, ranks_within(similarity, RANKS)
        if isinstance(similarity, RankedColumns):
            values, columns = similarity.values, [similarity.position(rank) for rank in columns]
        # plain views: compiled loops take no memory map
        neighbor, vectors = np.asarray(scored_set.neighbor), np.asarray(scored_set.vectors)
        self.tables = SetTables(neighbor, np.asarray(values), np.array(columns), vectors)
        self.block = CPU_BLOCK["lists"]
        self.scored = min(MOST, similarity.shape[1])

    def logits(self, rows: Int64) -> Float32:
        """Return logits (B, S), NaN beyond the `lengths` worth scoring."""
        logits = np.full((len(rows), self.scored), np.nan, np.float32)
        length = lengths(self.similarity[rows, : self.scored], self.statistics)
        for k in np.unique(length).tolist():
            equal, at_once = np.flatnonzero(length == k), max(1, TOKENS // k)
            for first in range(0, len(equal), at_once):
                some = equal[first : first + at_once]
                logits[some, :k] = self.network.logits(self.tables, rows[some], k)
        return logits


def open_compiled(url: str, card: Card, scored_set: ScoredSet) -> CompiledForm:
    """Load the predictor of a model for a set.

    Parameters
    ----------
    url
        The model's folder.
    card
        The card in that folder.
    scored_set
        The set.

    Returns
    -------
    CompiledForm
        Ready for any rows of the set.

    Raises
    ------
    InputError
        Where the set does not fit the model, or the weights are missing or damaged.
    """
    require_width(card, scored_set.vectors.shape[1], scored_set.neighbor.shape[1], url)
    weights = load_arrays(url, card.networks["predictor"])
    with threadpool_limits(
        1, user_api="blas"
    ):  # products of weights have other last digits on other numbers of threads
        return CompiledForm(CompiledRelative(card.training.predictor, weights, scored_set.statistics), scored_set)

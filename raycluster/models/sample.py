"""Scores of a few rows by the model that comes with the package.

Recipes without a model need them where similarities alone show no threshold (`raycluster.limits.agreed`). The driver computes
them on its processor, so that no worker and no GPU is needed.

Shapes: N rows of the set, S sampled rows, K neighbors per row with the row itself at rank 0, D width of the vectors.
"""

import numpy as np
from threadpoolctl import threadpool_limits

from raycluster.arrays import Float32, Int32, Int64, Vectors
from raycluster.models.card import load_card
from raycluster.models.compiled.form import open_compiled
from raycluster.models.row_scorer import calibrated
from raycluster.models.scored_set import ScoredSet
from raycluster.models.second_opinion import pooled
from raycluster.models.set_statistics import measure

MODEL = "auto"
"""The model that comes with the package."""
ROWS = 1024
"""Rows that are scored, evenly spread. Thresholds of other such samples of 17 sets differ by 0.01 at most, and by 0.03 for 256
rows. Scores take about a second on one core."""


def sample_of(rows: int) -> Int64:
    """Return the rows (S,) of a sample of N rows, ascending; all of a small set."""
    return np.unique(np.linspace(0, rows - 1, min(ROWS, rows)).astype(np.int64))


def score_sample(sample: Int64, neighbor: Int32, similarity: Float32, vectors: Vectors) -> Float32:
    """Return the scores (S, K) of sampled rows, NaN where there is none.

    Parameters
    ----------
    sample : int64 (S,)
        The rows.
    neighbor : int32 (N, K)
        Neighbors of all rows, -1 past the last one.
    similarity : float32 (N, K)
        Similarities of these neighbors.
    vectors : float32 or float16 (N, D)
        Unit rows.
    """
    card, _ = load_card(MODEL)
    facts = measure("relative", neighbor, similarity, vectors)
    form = open_compiled(MODEL, card, ScoredSet(neighbor, similarity, vectors, facts))
    logits = np.full((len(sample), neighbor.shape[1]), np.nan, np.float32)
    with threadpool_limits(1, user_api="blas"):
        for start in range(0, len(sample), form.block):
            rows = sample[start : start + form.block]
            logits[start : start + form.block, : form.scored] = form.logits(rows)
    logits[neighbor[sample] < 0] = np.nan
    logits[:, 0] = np.nan
    return pooled(card, calibrated(card, logits), similarity[sample], facts)

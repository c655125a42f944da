"""Scores of a set's neighbors, whatever computes the logits.

Shapes: N rows of the set, K neighbors per row with the row itself at rank 0, B rows of a block.
S is the number of neighbors per row that the form scores, at most K.
"""

from typing import Any, Protocol

import numpy as np

from raycluster.arrays import Bool, Float32, Int32, Int64
from raycluster.models.calibration import probability
from raycluster.models.card import Card
from raycluster.models.row_blocks import RowBlocks


class RowForm(Protocol):
    """A predictor that scores all neighbors of a row at once."""

    block: int
    """Rows per block."""
    scored: int
    """S, the neighbors of a row that get a logit, the row itself included."""

    def logits(self, rows: Int64) -> Float32:
        """Return logits (B, S) of the first neighbors of `rows` (B,)."""
        ...


class RowScorer:
    """A relation predictor on one set."""

    def __init__(self, card: Card, neighbor: Int32, form: Any, runner: RowBlocks) -> None:
        self.card, self.neighbor, self.form = card, neighbor, form
        self.runner = runner

    def logits(self, start: int, stop: int) -> Float32:
        """Return logits (stop - start, K) of all neighbors of rows start..stop.

        NaN for the row itself, for missing neighbors, and for those that the form leaves out: `relative` scores no more
        than the first `MOST` neighbors, and of those none beyond the row's `lengths`.
        """
        form: RowForm = self.form
        assert hasattr(form, "scored"), "the form pair scores chosen pairs"
        neighbor = self.neighbor[start:stop]
        logits = np.full(neighbor.shape, np.nan, np.float32)
        scored = np.empty(neighbor[:, : form.scored].shape, np.float32)
        logits[:, : form.scored] = self.runner.fill(scored, start, len(self.neighbor), form.block, form.logits)
        logits[neighbor < 0] = np.nan
        logits[:, 0] = np.nan
        return logits

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
            NaN where no pair was chosen. One pass scores all neighbors of a row.
        """
        return np.where(chosen, self.logits(start, stop), np.float32(np.nan))

    def score_rows(self, start: int, stop: int) -> Float32:
        """Return scores (stop - start, K), the probabilities of `logits`, in 0..1."""
        return calibrated(self.card, self.logits(start, stop))

    def score_pairs(self, start: int, stop: int, chosen: Bool) -> Float32:
        """Return scores (stop - start, K), the probabilities of `logits_of_pairs`.

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
        return calibrated(self.card, self.logits_of_pairs(start, stop, chosen))


def calibrated(card: Card, logit: Float32) -> Float32:
    """Return probabilities by the model's calibration; NaN stays.

    A model without a calibration, one that is still in training, has the sigmoid of its logits.
    """
    slope, intercept = card.thresholds.get("slope", 1.0), card.thresholds.get("intercept", 0.0)
    return np.asarray(probability(logit, slope, intercept), np.float32)

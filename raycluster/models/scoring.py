"""Scores of a set's neighbors by a model, compiled or in torch.

    scorer = open_scorer(url, card, ScoredSet(neighbor, similarity, vectors, facts, ...), threads=...)

    scorer.score_rows(start, stop)                  scores (stop - start, K) of all neighbors

    scorer.score_pairs(start, stop, chosen)         scores of the chosen pairs alone

On processors the form relative is computed by `raycluster.models.compiled`, which needs no torch. All else is computed by
`raycluster.models.inference`. A result depends neither on the range of rows nor on `threads`.

Shapes: K neighbors per row with the row itself at rank 0.
"""

from raycluster.models.arithmetic import current
from raycluster.models.bfloat16 import fast_on_gpu
from raycluster.models.card import Card
from raycluster.models.row_blocks import RowBlocks
from raycluster.models.row_scorer import RowScorer
from raycluster.models.scored_set import ScoredSet


def open_scorer(url: str, card: Card, scored_set: ScoredSet, *, threads: int = 1) -> RowScorer:
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
    RowScorer
        Ready for any rows of the set.

    Raises
    ------
    InputError
        Where the set does not fit the model, or the weights are missing or damaged.
    """
    if is_compiled(card):
        from raycluster.models.compiled.form import open_compiled

        return RowScorer(card, scored_set.neighbor, open_compiled(url, card, scored_set), RowBlocks(threads))
    from raycluster.models.inference import Predictor

    return Predictor.open(url, card, scored_set, threads=threads)


def is_compiled(card: Card) -> bool:
    """Return whether scores are computed by `raycluster.models.compiled`.

    They are on processors, where a model has the form relative. Among processors of several kinds torch computes: the
    instructions that they share are set for it alone.
    """
    predictor, arithmetic = card.training.predictor, current()
    encoder = predictor.encoder
    has_form = predictor.form == "relative" and encoder.attention == "vanilla" and encoder.norm == "before"
    if arithmetic is None:
        return has_form and fast_on_gpu() is None
    return has_form and arithmetic.device == "cpu" and not arithmetic.shared.variables

"""A set whose pairs have learned scores, and what parts the cases of its limits.

Shapes: N rows, K neighbors per row with the row itself at rank 0.
"""

from dataclasses import dataclass
from functools import cached_property

from raycluster.arrays import Float32, Int32
from raycluster.kernels.edge_rules.score import Combine
from raycluster.limits import agreement, valley
from raycluster.limits.far_ranks import CROWDED, FULL_NEIGHBORHOODS, SINGLETONS, WHOLE_LISTS
from raycluster.limits.random_pairs import FEWEST_NEIGHBORS, RandomPairs, are_all_strangers
from raycluster.limits.without_valley import Picked, are_too_low, fills_lists, odds_of_full


@dataclass(frozen=True)
class ScoredSet:
    """The neighbors of a set with their scores, and its threshold of similarity."""

    neighbor: Int32
    """(N, K): -1 past the last neighbor of a row."""
    similarity: Float32
    """(N, K)."""
    score: Float32
    """(N, K): 0..1, NaN where there is none."""
    combine: Combine
    """How the scores of a pair's two ends become one."""
    picked: Picked
    """The threshold that similarities suggest, and its facts."""
    pairs: RandomPairs
    """Cosines of random pairs of the set."""

    @cached_property
    def is_full(self) -> bool:
        """Whether identities fill the neighbor lists, so that hardly a stranger is listed."""
        return fills_lists(self.similarity, self.score, self.picked)

    @property
    def most_odds(self) -> float:
        """The odds that no edge of full lists exceeds."""
        return odds_of_full(self.score, self.picked)

    @property
    def has_only_strangers(self) -> bool:
        """Whether no row's nearest neighbor is nearer than random pairs."""
        _, facts = self.picked
        return facts["basis"] in (SINGLETONS, WHOLE_LISTS) and are_all_strangers(self.similarity, self.pairs)

    def valley(self, near: float) -> float | None:
        """Return the limit that the scores show, None without a valley.

        It parts relatives from strangers. So none is sought where no strangers are listed, nor among few rows. Of several
        valleys the nearest to a score counts: to the limit of the model.
        """
        _, facts = self.picked
        if len(self.neighbor) <= FEWEST_NEIGHBORS or (self.is_full and facts["basis"] == FULL_NEIGHBORHOODS):
            return None
        return valley.eta_of(self.neighbor, self.score, self.combine, near)

    def contradiction(self, eta: float, eta_of_set: float | None) -> float | None:
        """Return the share of rows on which scores contradict the threshold.

        None where the threshold does not overrule them (`agreement.contradiction`).

        Parameters
        ----------
        eta : float
            The limit of the model.
        eta_of_set : float or None
            The set's own limit, which comes before it.
        """
        limit, has_valley = (eta, False) if eta_of_set is None else (eta_of_set, True)
        return agreement.contradiction(self.similarity, self.score, self.picked, limit, has_valley)

    def loses_pairs_at(self, eta: float) -> bool:
        """Whether a limit of scores loses many pairs above the threshold.

        Where random pairs are as near as neighbors the threshold is a quantile that shows none of these losses. The limit of
        the model counts as one that loses many.
        """
        threshold, facts = self.picked
        return facts["basis"] == CROWDED or are_too_low(self.similarity, self.score, threshold, eta)

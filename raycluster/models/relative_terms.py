"""Constants of the form relative, in torch and compiled.

The shipped model's weights were trained with them: all but `CERTAIN_LOGIT`, which scoring alone reads, need another training to
change.
"""

from raycluster.models.set_statistics import RANKS, SETTING

MOST = 80
"""Neighbors scored at most, the row itself included: the longest lists of training."""
BINS, BINS_PER_UNIT = 128, 80.0
"""Entries of the table that the attention bias is read from, and entries per unit of distance. Distance is Euclidean between unit
vectors, in 0..2: it is finest where they nearly agree. Distances above 1.6, cosines below -0.28, share the last entry."""
CERTAIN_LOGIT = 0.8
"""Absolute logit, before calibration, from which a score counts as certain: odds of about 2 to 1. Rows whose neighbors all are
certain are computed once and not twice. Raising it computes more rows twice: at 1.7 half as many again, and BCubed F of five sets
moves by 0.04 at most."""
LEVELS = (0.6, 0.8, 1.0, 1.2)
"""Relative similarities, 0 at random pairs and 1 at the threshold, above which a neighbor's own neighbors are counted."""
FIRST = 10
"""Nearest neighbors, the row included, that means over the start of a list are taken of."""
KNOTS = (0.0, 0.2, 0.4, 0.6, 0.75, 0.9, 1.05, 1.2, 1.5)
"""Relative similarities at which the attention bias may bend, densest about the threshold."""
SPREAD_UNIT = 4.0
"""Spreads of random pairs per unit of the second scale that the bias is read on."""
SPREAD_KNOTS = (0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0)
"""Points of that second scale at which the bias may bend."""
LOG_UNIT = 6
"""Counts and ranks reach the network as log2(1 + count) / 6, which is about 1 at `MOST`."""
STATISTICS = 7 + 2 * len(LEVELS) + len(RANKS)
"""Numbers per neighbor that `neighbor_statistics` returns."""
CURVE = len(KNOTS) + len(SPREAD_KNOTS) + 4
"""Numbers per cosine that `curve` returns."""
SET_HIDDEN = 64
"""Width of the network that makes the attention bias depend on the set."""
UNITS = 4
"""Leading entries of a set's statistics that cosines are read by: shared, background, spread, threshold."""
SET_WIDTH = UNITS + SETTING
"""Numbers per set that the network reads: its units, then its setting."""

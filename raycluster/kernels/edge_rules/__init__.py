"""Edge rules: which pairs become edges, and with what weight.

One module per rule.

    rule            module            edges
    threshold       threshold.py      undirected; similarity at least a threshold
    score           score.py          undirected; learned score at least eta
    early-stop      early_stop.py     directed; FC-ES's walk on NEP, with FC-ESER's recall by a learned score
    gap             gap.py            undirected; FaceMap's cut at the first outlying gap
    density-peaks   density_peaks.py  every row to its closest denser neighbor (S2);
                    connectivity.py   and to other denser ones that are certain (LCEPCE)

Arrays in, columns of the edges table out (`columns.py`). Every rule takes the rows start..stop of a shard and reads the
neighbors of these rows' neighbors. Its work and memory depend on the shard's rows and on K, not on N. The edges of all
shards, one after the other, are those of all rows. An undirected pair that both rows list is stored once, in the shard of
the lower row.
"""

from raycluster.kernels.edge_rules.columns import Columns, rank_of
from raycluster.kernels.edge_rules.connectivity import connected_edges, connectivity, least_connectivity
from raycluster.kernels.edge_rules.density_peaks import denser, density_peak_edges
from raycluster.kernels.edge_rules.early_stop import early_stop_edges, recallable, walked
from raycluster.kernels.edge_rules.gap import gap_edges, gap_lengths
from raycluster.kernels.edge_rules.score import COMBINE, MOST_ODDS, Combine, combined, odds, score_edges
from raycluster.kernels.edge_rules.threshold import threshold_edges

__all__ = [
    "COMBINE",
    "MOST_ODDS",
    "Columns",
    "Combine",
    "combined",
    "connected_edges",
    "connectivity",
    "denser",
    "density_peak_edges",
    "early_stop_edges",
    "gap_edges",
    "gap_lengths",
    "least_connectivity",
    "odds",
    "rank_of",
    "recallable",
    "score_edges",
    "threshold_edges",
    "walked",
]

"""Numbers of papers for methods that are not run: quoted, not measured here.

The code of these methods needs libraries that are no longer maintained.

    python -m benchmarks quoted
"""

from benchmarks.measuring.script import Benchmark, Options
from benchmarks.measuring.tables import Rows, Tables

MS1M = "quoted, not measured: MS1M part1_test (584,013 faces, 8,573 identities), trained on part0; table 1 of S1, F in percent"
_MS1M_584K = """
L-GCN (Wang et al. 2019)           78.68 84.37
LTC (Yang et al. 2019)             85.66 85.52
GCN(V+E) (Yang et al. 2020)        87.93 86.09
Clusformer (Nguyen et al. 2021)    88.20 87.17
STAR-FC (Shen et al. 2021)         91.97 89.96
Face Transformer (Ye et al. 2021)  91.12 90.50
Pair-Cls (Liu et al. 2021)         90.67 89.54
Ada-NETS (Wang et al. 2022)        92.79 91.40
Hard Clusters (Chen et al. 2022)   93.22 92.18
FaceMap (Yu et al. 2022)           94.27 92.55
FC-ESER (Liu 2024)                 95.28 93.85
Diff-Cluster (S1)                  95.46 94.14
k-means (Lloyd 1982)               79.21 81.23
HAC (Sibson 1973)                  70.63 70.46
DBSCAN (Ester et al. 1996)         67.93 67.17
ARO (Otto et al. 2017)             13.60 17.00
CDP (Zhan et al. 2018)             75.02 78.70
Wang et al. 2022a                  94.94 93.67
LCEPCE (Shin et al. 2023)          94.64 93.36
CLIP-Cluster (Shen et al. 2023)    94.22 -
"""


def ms1m() -> Rows:
    """Return the rows of the quoted table; a score that the paper leaves out is missing."""
    lines = [line.rsplit(maxsplit=2) for line in _MS1M_584K.strip().splitlines()]
    scores = [{"F_P": pairwise, "F_B": bcubed} for _, pairwise, bcubed in lines]
    return [
        {"method": line[0], **{name: float(value) for name, value in row.items() if value != "-"}}
        for line, row in zip(lines, scores, strict=True)
    ]


def tables(_: Options) -> Tables:
    """Yield the quoted tables."""
    yield MS1M, ms1m()


BENCHMARK = Benchmark(Options, tables, quick=lambda _: Options())

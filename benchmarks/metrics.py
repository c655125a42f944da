"""All metrics at 5 million rows, against scikit-learn's pair confusion and NMI on the same labels."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import tyro
from sklearn.metrics import normalized_mutual_info_score
from sklearn.metrics.cluster import pair_confusion_matrix

from measure import interleaved, report
from raycluster.evaluation.metrics import evaluate


@dataclass
class Args:
    """Size of the labelling."""

    rows: int = 5_000_000
    identities: int = 80_000
    clusters: int = 100_000
    rounds: int = 2


def main(args: Args) -> None:
    """Labels where one row in five strays to a random cluster."""
    rng = np.random.default_rng(0)
    truth = rng.integers(0, args.identities, args.rows)
    stray = rng.random(args.rows) < 0.2
    predicted = np.where(stray, rng.integers(0, args.clusters, args.rows), truth)

    def peer() -> Any:
        return pair_confusion_matrix(truth, predicted), normalized_mutual_info_score(truth, predicted)

    times = interleaved(
        {"ours": lambda: evaluate(truth, predicted), "scikit-learn (pairs and NMI only)": peer}, args.rounds
    )
    ratio = min(times["scikit-learn (pairs and NMI only)"]) / min(times["ours"])
    report({"benchmark": "metrics", "rows": args.rows, "seconds": times, "ratio": round(ratio, 2)})


if __name__ == "__main__":
    main(tyro.cli(Args))

"""knn -> how many of a row's neighbors to trust. No recipe of today predicts it, so every recipe skips this stage.

The `topk` table holds a predicted count a row; `rounded` turns it into the list lengths that NEP truncates with.
"""

import numpy as np
import numpy.typing as npt

from raycluster.graph.nearest import Int64


def rounded(topk: npt.NDArray[np.integer], k: int) -> Int64:
    """S1 eq. 7: list lengths min(k, 10 ceil(TopK / 10)) from predicted counts (N,), for NEP only.

    Rounding up keeps a list long enough where the prediction is a few neighbors short.
    """
    return np.minimum(k, -(-np.asarray(topk, np.int64) // 10) * 10)

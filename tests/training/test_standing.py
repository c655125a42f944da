"""Where a fit stands in words, in this process and from the checkpoints of others."""

from pathlib import Path

import torch

from raycluster.storage.object_store import Store
from raycluster.training import checkpoint
from raycluster.training.standing import SECONDS_BETWEEN_READS, Standing, StoredStanding


def test_step_loss_score_and_time_left() -> None:
    standing = Standing("predictor", 400, began=100.0, before=100)
    standing.step = 100
    assert standing.words(100.0) == "predictor: step 100 of 400"
    standing.take(200, [0.5, 0.25], [{"step": 100, "score": 0.75, "loss": 1.0}])
    assert standing.words(110.0) == (
        "predictor: step 200 of 400, loss 0.375, held-out score 0.75 at step 100, at most 20 s left"
    )


def test_time_counts_from_the_first_step() -> None:
    standing = Standing("filter", began=0.0)
    assert standing.words(5.0) == "filter: preparing, 5 s so far"
    standing.start(100, 40)
    assert standing.words(standing.began + 9.0) == "filter: step 40 of 100"
    standing.take(60, [], [])
    assert standing.words(standing.began + 10.0) == "filter: step 60 of 100, at most 20 s left"


def test_workers_elsewhere_are_followed_by_their_checkpoints(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    standing = StoredStanding("filter", 30, store=store, began=0.0)
    assert standing.words(100.0) == "filter: step 0 of 30"
    state = checkpoint.State(step=10, module={"weight": torch.ones(1)}, losses=[0.5])
    state.history.append({"step": 8, "score": 0.9, "loss": 0.7})
    checkpoint.save(store, "filter", state)
    assert standing.words(100.0 + SECONDS_BETWEEN_READS / 2) == "filter: step 0 of 30"
    line = standing.words(100.0 + SECONDS_BETWEEN_READS)
    assert line == "filter: step 10 of 30, loss 0.5, held-out score 0.9 at step 8, at most 220 s left"

"""knn, topk, contexts -> a learned score in 0..1 that a neighbor is the same identity.

`all` neighbors are scored, or, with `recall`, those that the early-stop walk left out and whose NEP is at least
`relations.floor` (S1, FC-ESER). Other ranks hold NaN. Recipes without a predictor skip this stage.
"""

from typing import Any

import numpy as np

from raycluster import schemas, scratch
from raycluster.config import Config
from raycluster.graph.edge_rules import recallable
from raycluster.models.folder import load_card
from raycluster.models.resolve import thresholds_of
from raycluster.run import Part, Run, Stage
from raycluster.stages import edges
from raycluster.stages.contexts import CONTEXTS
from raycluster.stages.topk import TOPK
from raycluster.threshold import sample_pairs


def prepare(run: Run) -> dict[str, Any]:
    """Mean and spread of the cosines of random pairs, and with `recall` the limits that choose what is scored."""
    pairs = sample_pairs(scratch.joined(run, "embeddings", "embedding", run.config.knn.storage))
    found: dict[str, Any] = {"background": [pairs.median, pairs.spread]}
    if run.config.relations.score == "recall":
        known = thresholds_of(run.config)
        found["theta"] = edges.calibrated_or_given("edges.theta", run.config.edges.theta, known)
        found["floor"] = edges.calibrated_or_given("relations.floor", run.config.relations.floor, known)
    return found


def compute(run: Run, shard: int) -> Part:
    """Score one shard's pairs."""
    from raycluster.models.scoring import Scorer
    from raycluster.training.calibration import probability

    start, stop = run.starts[shard : shard + 2]
    prepared, url = run.prepared("relations"), str(run.config.model)
    card, _ = load_card(url)
    vectors = scratch.joined(run, "embeddings", "embedding", run.config.knn.storage)
    neighbor, _ = edges.neighbors(run)
    topk = scratch.joined(run, "topk", "k", "int64") if TOPK.wanted(run.config) else None
    background = tuple(prepared["background"])
    contexts = None
    if CONTEXTS.wanted(run.config):
        contexts = scratch.joined(run, "contexts", "context", run.config.knn.storage)
    known: dict[str, Any] = {"topk": topk, "contexts": contexts, "threads": run.threads}
    scorer = Scorer(url, card, "predictor", neighbor, vectors, background, **known)
    if run.config.relations.score == "all":
        logit = scorer.rows(start, stop)
    else:
        nep = edges.nep_of(run, start, stop)
        wanted = recallable(neighbor[start:stop], nep, prepared["theta"], prepared["floor"])
        logit = scorer.pairs(start, stop, wanted)
    score = probability(logit, card.thresholds.get("slope", 1.0), card.thresholds.get("intercept", 0.0))
    rows = np.arange(start, stop, dtype=np.int32)
    facts = {"scored": int(np.count_nonzero(~np.isnan(score)))}
    return Part([schemas.from_columns(schemas.relations(run.config.knn.k), row=rows, score=score)], facts)


def settings(config: Config) -> Any:
    """What changes a score: the model and, with `recall`, what chooses the pairs."""
    rule = config.edges
    chosen = (rule.theta, rule.transform, rule.tau, rule.delta, rule.epsilon)
    recall = config.relations.score == "recall"
    return [config.relations.__dict__, config.model_digest, chosen if recall else None]


RELATIONS = Stage(
    name="relations",
    settings=settings,
    compute=compute,
    prepare=prepare,
    wanted=lambda config: config.relations.score != "none",
    gpu=True,
)

"""knn, topk, contexts -> a learned score in 0..1 that a neighbor is the same identity.

`all` neighbors are scored, or, with `recall`, those that the early-stop walk left out and whose NEP is at least
the floor that the model was calibrated to (S1, FC-ESER). Other ranks hold NaN. Recipes without a predictor skip this stage.
"""

from typing import Any

import numpy as np

from raycluster.arrays import Float32, Int32, Vectors
from raycluster.config.stages import Config
from raycluster.errors import ConfigError
from raycluster.kernels.edge_rules import recallable
from raycluster.models.card import load_card
from raycluster.models.requirements import thresholds_of
from raycluster.models.set_statistics import measure
from raycluster.stages import edges, embeddings
from raycluster.stages.contexts import CONTEXTS
from raycluster.stages.topk import TOPK
from raycluster.storage import node_cache as scratch
from raycluster.storage import schemas
from raycluster.storage.run_folder import Part, Run, Stage


def scores_in_memory(url: str, neighbor: Int32, similarity: Float32, vectors: Vectors, threads: int) -> Float32:
    """Scores (N, K) of all neighbors by the model at `url`."""
    from raycluster.models.inference import Predictor

    card, _ = load_card(url)
    facts = measure(card.training.predictor.form, neighbor, similarity, vectors)
    predictor = Predictor.open(url, card, neighbor, similarity, vectors, facts, threads=threads)
    return predictor.score_rows(0, len(neighbor))


def prepare(run: Run) -> dict[str, Any]:
    """What the predictor is told of the set, and with `recall` the limits that choose what is scored."""
    card, _ = load_card(str(run.config.model))
    vectors = embeddings.vectors(run)
    found = measure(card.training.predictor.form, *edges.neighbors(run), vectors)
    if run.config.relations.score == "recall":
        known = thresholds_of(run.config)
        found["theta"] = edges.calibrated_or_given("edges.theta", run.config.edges.theta, known)
        found["floor"] = _floor(run.config, known)
    return found


def _floor(config: Config, calibrated: dict[str, float]) -> float:
    """The lowest NEP of a neighbor that `recall` scores; raises ConfigError where the model was calibrated to none."""
    if "floor" not in calibrated:
        raise ConfigError(f"The model {config.model} was not calibrated for edge recall: its card has no floor of NEP.")
    return calibrated["floor"]


def compute(run: Run, shard: int) -> Part:
    """Score one shard's pairs."""
    from raycluster.models.inference import Predictor

    start, stop = run.starts[shard : shard + 2]
    prepared, url = run.prepared("relations"), str(run.config.model)
    card, _ = load_card(url)
    vectors = embeddings.vectors(run)
    neighbor, similarity = edges.neighbors(run)
    topk = scratch.joined(run, "topk", "k", "int64") if TOPK.wanted(run.config) else None
    contexts = None
    if CONTEXTS.wanted(run.config):
        contexts = scratch.joined(run, "contexts", "context", run.config.knn.storage)
    predictor = Predictor.open(
        url, card, neighbor, similarity, vectors, prepared, topk=topk, contexts=contexts, threads=run.threads
    )
    if run.config.relations.score == "all":
        score = predictor.score_rows(start, stop)
    else:
        nep = edges.nep_of(run, start, stop)
        wanted = recallable(neighbor[start:stop], nep, prepared["theta"], prepared["floor"])
        score = predictor.score_pairs(start, stop, wanted)
    rows = np.arange(start, stop, dtype=np.int32)
    facts = {"scored": int(np.count_nonzero(~np.isnan(score)))}
    return Part([schemas.from_columns(schemas.relations(run.config.knn.k), row=rows, score=score)], facts)


def settings(config: Config) -> Any:
    """What changes a score: the model and, with `recall`, what chooses the pairs."""
    rule = config.edges
    chosen = (rule.theta, rule.transform, rule.tau, rule.delta)
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

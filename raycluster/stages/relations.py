"""knn, topk, contexts -> a learned score in 0..1 that a neighbor is the same identity.

`all` neighbors are scored, or, with `recall`, those that the early-stop walk left out and whose NEP is at least
the floor that the model was calibrated to (S1, FC-ESER). Other ranks hold NaN. Recipes without a predictor skip this stage.
"""

from typing import TYPE_CHECKING, Any

import numpy as np

from raycluster.arrays import Float32, Int32, Vectors
from raycluster.config.stages import Config
from raycluster.errors import ConfigError
from raycluster.kernels.edge_rules import recallable
from raycluster.limits.far_ranks import sample_pairs
from raycluster.models.card import Card, load_card
from raycluster.models.requirements import thresholds_of
from raycluster.models.set_statistics import Scale
from raycluster.stages import edges, embeddings
from raycluster.stages.contexts import CONTEXTS
from raycluster.stages.topk import TOPK
from raycluster.storage import node_cache as scratch
from raycluster.storage import schemas
from raycluster.storage.run_folder import Part, Run, Stage

if TYPE_CHECKING:
    from raycluster.models.inference import Scorer


def measured(card: Card, neighbor: Int32, similarity: Float32, vectors: Vectors) -> dict[str, Any]:
    """What the model's predictor is told of the whole set: its `Scale`, or mean and spread of the cosines of random pairs."""
    if card.training.predictor.form == "relative":
        return {"scale": Scale.of(neighbor, similarity, vectors).to_json()}
    pairs = sample_pairs(vectors)
    return {"background": [pairs.median, pairs.spread]}


def scorer(
    card: Card, url: str, told: dict[str, Any], neighbor: Int32, similarity: Float32, vectors: Vectors, **known: Any
) -> "Scorer":
    """The model's predictor on a set of which `told` was `measured`."""
    from raycluster.models.inference import Scorer

    if "scale" in told:
        known |= {"similarity": similarity, "scale": Scale.from_json(told["scale"])}
    else:
        known["background"] = tuple(told["background"])
    return Scorer(url, card, "predictor", neighbor, vectors, **known)


def calibrated(card: Card, logit: Float32) -> Float32:
    """Scores: probabilities by the model's calibration, NaN where there is no logit."""
    from raycluster.models.calibration import probability

    return np.asarray(
        probability(logit, card.thresholds.get("slope", 1.0), card.thresholds.get("intercept", 0.0)), np.float32
    )


def scores_in_memory(url: str, neighbor: Int32, similarity: Float32, vectors: Vectors, threads: int) -> Float32:
    """Scores (N, K) of all neighbors by the model at `url`."""
    card, _ = load_card(url)
    told = measured(card, neighbor, similarity, vectors)
    return calibrated(
        card, scorer(card, url, told, neighbor, similarity, vectors, threads=threads).rows(0, len(neighbor))
    )


def prepare(run: Run) -> dict[str, Any]:
    """What the predictor is told of the set, and with `recall` the limits that choose what is scored."""
    card, _ = load_card(str(run.config.model))
    vectors = embeddings.vectors(run)
    found = measured(card, *edges.neighbors(run), vectors)
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
    start, stop = run.starts[shard : shard + 2]
    prepared, url = run.prepared("relations"), str(run.config.model)
    card, _ = load_card(url)
    vectors = embeddings.vectors(run)
    neighbor, similarity = edges.neighbors(run)
    topk = scratch.joined(run, "topk", "k", "int64") if TOPK.wanted(run.config) else None
    contexts = None
    if CONTEXTS.wanted(run.config):
        contexts = scratch.joined(run, "contexts", "context", run.config.knn.storage)
    known: dict[str, Any] = {"topk": topk, "contexts": contexts, "threads": run.threads}
    of_set = scorer(card, url, prepared, neighbor, similarity, vectors, **known)
    if run.config.relations.score == "all":
        logit = of_set.rows(start, stop)
    else:
        nep = edges.nep_of(run, start, stop)
        wanted = recallable(neighbor[start:stop], nep, prepared["theta"], prepared["floor"])
        logit = of_set.pairs(start, stop, wanted)
    score = calibrated(card, logit)
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

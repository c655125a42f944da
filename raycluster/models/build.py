"""An untrained network of the architecture that a model's card describes."""

from collections.abc import Callable
from typing import Literal

from raycluster.config.networks import PredictorConfig
from raycluster.models.card import Card
from raycluster.models.networks.adaptive_filter import AdaptiveFilter
from raycluster.models.networks.face_transformer import FaceTransformer
from raycluster.models.networks.relation_predictor import PairPredictor, RowPredictor
from raycluster.models.networks.relative import RelativePredictor

Network = AdaptiveFilter | RowPredictor | RelativePredictor | PairPredictor | FaceTransformer
NetworkName = Literal["filter", "predictor"]
PREDICTORS: dict[str, Callable[[PredictorConfig, int, int], Network]] = {
    "row": RowPredictor, "relative": RelativePredictor, "pair": PairPredictor,
    "linkage": FaceTransformer, "distance": FaceTransformer,
}  # fmt: skip
"""The class of each `training.predictor.form`."""


def build_network(name: NetworkName, card: Card) -> Network:
    """Return the network `name` of a model with random weights, on the CPU."""
    training, width = card.training, card.embedding_width or 0
    if name == "filter":
        return AdaptiveFilter(training.filter, card.k, width)
    return PREDICTORS[training.predictor.form](training.predictor, card.k, width)

"""Another model that a training starts from: networks with its weights, and its calibration where labels cannot tell one."""

import dataclasses
from dataclasses import asdict, dataclass
from typing import Literal

from torch import Tensor

from raycluster.config.load import differences
from raycluster.config.networks import FilterConfig, FitConfig, PredictorConfig, TrainingConfig
from raycluster.errors import ConfigError
from raycluster.models.card import Card, load_card, load_network

Name = Literal["filter", "predictor"]


@dataclass(frozen=True)
class Source:
    """A trained model."""

    url: str
    """Its folder, or the name of a model that comes with the package."""
    card: Card
    digest: str
    """SHA-256 of the card, which stands for the whole model."""

    @classmethod
    def of(cls, url: str) -> "Source":
        """Raises InputError where there is no model."""
        return cls(url, *load_card(url))

    def require(self, name: Name, training: TrainingConfig, k: int) -> None:
        """Raise ConfigError unless the model has the network `name`, built as `training` says for `k` neighbors a row."""
        if name not in self.card.networks:
            raise ConfigError(f"The model {self.url}, of recipe {self.card.recipe}, has no {name} to take.")
        theirs, mine = (_built(getattr(each, name)) for each in (self.card.training, training))
        changed = differences(asdict(theirs), asdict(mine))
        if self.card.k != k and not (name == "predictor" and training.predictor.form == "relative"):
            changed.append(f"knn.k: {self.card.k} -> {k}")
        if changed:
            raise ConfigError(
                f"The {name} of the model {self.url} is built otherwise than is asked for ({', '.join(changed)}); use its "
                f"recipe, {self.card.recipe}, or train without it."
            )

    def require_width(self, width: int | None) -> None:
        """Raise ConfigError where the model reads vectors, and of another width than `width`."""
        if self.card.embedding_width not in (None, width):
            raise ConfigError(
                f"The model {self.url} was trained on embeddings of width {self.card.embedding_width}, these have {width}."
            )

    def weights(self, name: Name) -> dict[str, Tensor]:
        """State of a network, on the CPU."""
        return load_network(self.url, self.card, name)


def _built(network: FilterConfig | PredictorConfig) -> FilterConfig | PredictorConfig:
    """How a network is built, without how it is fitted."""
    plain = dataclasses.replace(network, fit=FitConfig())
    return dataclasses.replace(plain, source=None) if isinstance(plain, FilterConfig) else plain

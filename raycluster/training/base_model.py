"""The model that a training starts from: weights, and a calibration to keep."""

import dataclasses
from dataclasses import asdict, dataclass

from torch import Tensor

from raycluster.config.load import differences
from raycluster.config.networks import FilterConfig, FitConfig, PredictorConfig, TrainingConfig
from raycluster.errors import ConfigError
from raycluster.models.build import NetworkName
from raycluster.models.card import Card, load_card
from raycluster.models.weights import load_network


@dataclass(frozen=True)
class BaseModel:
    """A trained model."""

    url: str
    """Its folder, or the name of a model that comes with the package."""
    card: Card
    digest: str
    """SHA-256 of the card, which stands for the whole model."""

    @classmethod
    def open(cls, url: str) -> "BaseModel":
        """Return the model at `url`. Raises InputError where there is none."""
        return cls(url, *load_card(url))

    def require(self, name: NetworkName, training: TrainingConfig, k: int) -> None:
        """Refuse a model whose network is missing or built otherwise.

        Parameters
        ----------
        name
            The network to take.
        training
            How the new model's networks are built.
        k
            Neighbors per row; without effect on a predictor of form relative.

        Raises
        ------
        ConfigError
            Where the weights do not fit the new model.
        """
        if name not in self.card.networks:
            raise ConfigError(f"The model {self.url}, of recipe {self.card.recipe}, has no {name} to take.")
        own, new = (_built(getattr(config, name)) for config in (self.card.training, training))
        changed = differences(asdict(own), asdict(new))
        if self.card.k != k and not (name == "predictor" and training.predictor.form == "relative"):
            changed.append(f"knn.k: {self.card.k} -> {k}")
        if changed:
            raise ConfigError(
                f"The {name} of the model {self.url} differs from the one to train ({', '.join(changed)}); use its "
                f"recipe, {self.card.recipe}, or train without it."
            )

    def require_width(self, width: int | None) -> None:
        """Refuse a model that reads vectors of another width, with ConfigError."""
        if self.card.embedding_width not in (None, width):
            raise ConfigError(
                f"The model {self.url} was trained on embeddings of width {self.card.embedding_width}, these have {width}."
            )

    def weights(self, name: NetworkName) -> dict[str, Tensor]:
        """Return the state of a network, on the CPU."""
        return load_network(self.url, self.card, name)


def _built(network: FilterConfig | PredictorConfig) -> FilterConfig | PredictorConfig:
    """Return how a network is built, without how it is fitted."""
    plain = dataclasses.replace(network, fit=FitConfig())
    return dataclasses.replace(plain, source=None, loss=FilterConfig.loss) if isinstance(plain, FilterConfig) else plain

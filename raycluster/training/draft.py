"""A model on its way: what the steps of a training have contributed so far."""

from dataclasses import asdict, dataclass, field, replace
from typing import Any

from torch import Tensor

from raycluster.config.networks import TrainingConfig
from raycluster.config.stages import Config
from raycluster.models import card as folder
from raycluster.models.calibration import Table
from raycluster.models.card import Card, TrainingSet
from raycluster.storage.tables import Facts


@dataclass(frozen=True)
class Draft:
    """A model as far as it has come. Every step of a training returns a new one."""

    config: Config
    training: TrainingConfig
    embedding_width: int | None = None
    """Width of the embeddings that a network reads; None where all tokens are gram."""
    data: list[TrainingSet] = field(default_factory=list)
    tensors: dict[str, dict[str, Tensor]] = field(default_factory=dict)
    """State of the fitted networks, by name."""
    history: dict[str, Table] = field(default_factory=dict)
    """Evaluations of the fits, by network."""
    thresholds: dict[str, float] = field(default_factory=dict)
    curves: dict[str, Table] = field(default_factory=dict)
    confidence: Table = field(default_factory=list)
    strength: dict[str, float] = field(default_factory=dict)
    metrics: Facts = field(default_factory=dict)

    def adding(self, **changes: Any) -> "Draft":
        """Return a draft with more entries: dictionaries grow, all else is replaced."""
        values = {
            name: getattr(self, name) | value if isinstance(value, dict) else value for name, value in changes.items()
        }
        return replace(self, **values)

    def card(self, seconds: float = 0.0) -> Card:
        """Return the card of the draft, whose networks `save` fills in."""
        return Card(
            recipe=self.config.recipe,
            config=asdict(self.config),
            training=self.training,
            k=self.config.knn.k,
            embedding_width=self.embedding_width,
            data=self.data,
            thresholds=self.thresholds,
            curves=self.curves,
            confidence=self.confidence,
            metrics=self.metrics,
            history=self.history,
            strength=self.strength,
            versions=folder.versions(),
            seconds=seconds,
        )

    def save(self, url: str, seconds: float = 0.0) -> Card:
        """Write the model folder at `url`; returns its card."""
        return folder.save(url, self.card(seconds), self.tensors)

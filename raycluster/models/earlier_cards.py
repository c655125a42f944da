"""Keys that the first cards of this format lack, and their values.

The values are what held before there was a choice.
"""

from typing import Any

EARLIER: dict[str, Any] = {
    "limits": "fitted",
    "filter.output": "sigmoid",
    "filter.loss": "relative",
    "filter.lstm_residual": False,
    "filter.fit.schedule": "cosine",
    "predictor.adjust": None,
    "predictor.fit.schedule": "cosine",
    "filter.encoder.head_width": None,
    "predictor.encoder.head_width": None,
}
"""Keys of the training configuration that the first cards of this format lack, with what held before there was a choice."""


def fill_earlier(values: dict[str, Any]) -> None:
    """Add the keys of `EARLIER` that a training configuration lacks, in place."""
    for key, value in EARLIER.items():
        *sections, name = key.split(".")
        section: Any = values
        for within in sections:
            section = section.get(within) if isinstance(section, dict) else None
        if isinstance(section, dict):
            section.setdefault(name, value)

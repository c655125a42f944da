"""Settings of generated sets: ranges, and presets that lie in them."""

from typing import Any

import pytest

from raycluster.errors import ConfigError
from raycluster.synthetic.settings import PRESETS, SyntheticConfig


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_are_settings(preset: str) -> None:
    config = SyntheticConfig(**PRESETS[preset])
    assert config.rows >= 20_000
    assert config.min_size <= config.mean_size <= config.max_size


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"rows": 0}, "synthetic.rows is 0: it takes a whole number of at least 1."),
        ({"rows": 5, "width": 1}, "synthetic.width is 1: it takes a whole number of at least 2."),
        ({"rows": 5, "seed": -1}, "synthetic.seed is -1: it takes a whole number from 0 to 9223372036854775807."),
        ({"rows": 5, "same_cosine": 1.1}, "synthetic.same-cosine is 1.1: it takes a number from 0 to 1."),
        ({"rows": 5, "family_share": float("nan")}, "synthetic.family-share is nan: it takes a number from 0 to 1."),
        (
            {"rows": 5, "min_size": 10},
            "synthetic.mean-size is 8.0: it must lie between min-size, 10, and max-size, 500.",
        ),
        (
            {"rows": 5, "max_size": 7},
            "synthetic.mean-size is 8.0: it must lie between min-size, 1, and max-size, 7.",
        ),
    ],
)
def test_settings_out_of_range_are_refused_by_name(settings: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        SyntheticConfig(**settings)
    assert str(caught.value) == sentence

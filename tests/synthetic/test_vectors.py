"""Embeddings of generated rows: spectrum, steps, and that a row depends on nothing but itself."""

from dataclasses import replace

import numpy as np
import pytest

from raycluster.synthetic.hashed import Hashed
from raycluster.synthetic.settings import SyntheticConfig
from raycluster.synthetic.vectors import embed, spectrum

CONFIG = SyntheticConfig(
    rows=400, width=32, copy_share=0.3, style_share=0.3, clan_cosine=0.4, clan_size=2, picture_spread=0.1, offset=0.2
)
IDS = np.arange(400)
LABELS = IDS // 5


def embedded(config: SyntheticConfig, rows: slice = slice(None)) -> np.ndarray:
    scale = spectrum(config.width, config.effective_dimension)
    common = Hashed(config.seed, "common").directions(np.arange(config.low_quality_directions), scale)
    return embed(config, IDS[rows], LABELS[rows], 80, scale, common)


@pytest.mark.parametrize(("width", "dimension"), [(256, 105.0), (256, 3.0), (64, 64.0), (512, 40.0)])
def test_a_spectrum_has_its_effective_dimension(width: int, dimension: float) -> None:
    variance = spectrum(width, dimension).astype(np.float64) ** 2
    assert variance.sum() == pytest.approx(1)
    assert variance.sum() ** 2 / (variance**2).sum() == pytest.approx(dimension, rel=1e-3)
    assert (np.diff(variance) <= 0).all()


def test_no_more_directions_are_in_use_than_there_are() -> None:
    assert np.ptp(spectrum(16, 105.0)) < 1e-5


def test_embeddings_are_unit_rows_of_float32() -> None:
    vectors = embedded(CONFIG)
    assert (vectors.dtype, vectors.shape) == (np.float32, (400, 32))
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)


def test_a_row_is_the_same_whatever_rows_are_computed_with_it() -> None:
    np.testing.assert_array_equal(embedded(CONFIG)[100:300], embedded(CONFIG, slice(100, 300)))


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 1},
        {"same_cosine": 0.4},
        {"mode_cosine": 0.5},
        {"family_cosine": 0.9},
        {"clan_cosine": 0.9},
        {"copy_share": 0.9},
        {"style_share": 0.9},
        {"picture_spread": 0.3},
        {"low_quality_share": 0.9},
        {"offset": 0.5},
    ],
)
def test_every_step_has_its_setting(change: dict[str, float]) -> None:
    assert not np.array_equal(embedded(CONFIG), embedded(replace(CONFIG, **change)))  # type: ignore[arg-type]


def test_offset_is_the_cosine_of_strangers() -> None:
    plain = replace(CONFIG, clan_cosine=0.0, family_share=0.0, style_share=0.0, low_quality_share=0.0, width=256)
    for offset in (0.0, 0.4):
        vectors = embedded(replace(plain, offset=offset))
        strangers = LABELS[:, None] != LABELS
        assert (vectors @ vectors.T)[strangers].mean() == pytest.approx(offset, abs=0.02)

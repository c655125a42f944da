"""Folded weights against the layers that they were folded from."""

import numpy as np
import pytest

from raycluster.models.card import load_card
from raycluster.models.compiled.folded import folded, head_of
from raycluster.models.weights import load_arrays

CARD = load_card("auto")[0]
ARRAYS = load_arrays("auto", CARD.networks["predictor"])
WEIGHTS = folded(CARD.training.predictor, ARRAYS)


def unpacked(matrix):
    return matrix.transpose(0, 2, 1).reshape(-1, matrix.shape[1])


@pytest.mark.parametrize("layer", range(CARD.training.predictor.encoder.layers))
def test_the_scale_and_offset_of_a_normalization_are_in_the_product_that_follows(layer):
    def own(name):
        return ARRAYS[f"encoder.layers.{layer}.{name}"].astype(np.float64)

    normal = np.random.default_rng(layer).standard_normal(len(own("ffn_norm.weight")))
    expected = own("ffn.0.weight") @ (normal * own("ffn_norm.weight") + own("ffn_norm.bias")) + own("ffn.0.bias")
    found = unpacked(WEIGHTS.widen[layer]) @ normal + WEIGHTS.widen_offset[layer]
    np.testing.assert_allclose(found[: len(expected)], expected, rtol=1e-4, atol=1e-4)
    scaled = normal * own("attention_norm.weight") + own("attention_norm.bias")
    per_head = len(normal) // CARD.training.predictor.encoder.heads
    factors = {"q": per_head**-0.5, "k": 1, "v": 1}
    stacked = np.concatenate([own(f"attention.{name}.weight") @ scaled * factor for name, factor in factors.items()])
    found = unpacked(WEIGHTS.queries_keys_values[layer]) @ normal + WEIGHTS.stacked_offset[layer]
    np.testing.assert_allclose(found[: len(stacked)], stacked, rtol=1e-4, atol=1e-4)


def test_the_head_has_what_the_last_normalization_adds():
    offset, layers = head_of(ARRAYS)
    both = ARRAYS["of_neighbor.weight"] + ARRAYS["of_anchor.weight"]
    np.testing.assert_allclose(offset, both @ ARRAYS["encoder.norm.bias"] + ARRAYS["of_neighbor.bias"], atol=1e-5)
    ((matrix, last),) = layers
    np.testing.assert_array_equal(unpacked(matrix)[:1], ARRAYS["head.1.weight"])
    np.testing.assert_array_equal(last, ARRAYS["head.1.bias"])

"""Sizes of blocks against memory."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from raycluster.config.networks import EncoderConfig, FilterConfig, PredictorConfig
from raycluster.models import blocks
from raycluster.models.blocks import activation_bytes, block_size
from raycluster.models.networks.adaptive_filter import AdaptiveFilter
from raycluster.models.networks.face_transformer import FaceTransformer
from raycluster.models.networks.relation_predictor import PairPredictor, RowPredictor
from raycluster.models.networks.relative import RelativePredictor

GIB = 2**30
NETWORKS = {
    "row": RowPredictor(PredictorConfig(form="row", encoder=EncoderConfig(width=128)), 80, 512),
    "pair": PairPredictor(PredictorConfig(form="pair"), 80, 512),
    "filter": AdaptiveFilter(FilterConfig(network="transformer"), 80, 512),
    "lstm": AdaptiveFilter(FilterConfig(network="lstm"), 80, 512),
    "linkage": FaceTransformer(PredictorConfig(form="linkage", tokens="embedding"), 80, 512),
}


@pytest.mark.parametrize("name", NETWORKS)
@given(free=st.integers(0, 200 * GIB))
@settings(max_examples=30, deadline=None)
def test_blocks_fill_a_quarter_of_a_gpu_at_most_and_half_of_that_at_least(name, free):
    network = NETWORKS[name]
    block, each = block_size(network, "cuda", free, 512), activation_bytes(network, 512)
    assert block & (block - 1) == 0
    assert 1 <= block <= blocks.GPU_BLOCK
    assert block == 1 or block * each <= free / 4
    assert block == blocks.GPU_BLOCK or 2 * block * each > free / 4


def test_blocks_of_a_cpu_do_not_depend_on_memory():
    relative = RelativePredictor(
        PredictorConfig(form="relative", tokens="gram", encoder=EncoderConfig(width=96)), 80, 512
    )
    for name, network in {**NETWORKS, "relative": relative}.items():
        expected = blocks.CPU_BLOCK[name if name in ("pair", "relative") else "row"]
        assert {block_size(network, "cpu", free, 512) for free in (0, GIB)} == {expected}


@pytest.mark.parametrize("name", NETWORKS)
def test_activations_of_a_sample_are_what_a_pass_takes(name):
    """Peak of torch's allocations over a pass: no more than foreseen, and not less than half."""
    network, batch = NETWORKS[name].eval(), 8
    inputs = [torch.randn(batch, 80, 512), torch.ones(batch, 80, dtype=torch.bool)]
    if name == "pair":
        inputs = [inputs[0], inputs[0], inputs[1], inputs[1], None, None]
    else:
        inputs += {"row": [None, (0.0, 1.0)], "linkage": []}.get(name, [(0.0, 1.0)])
    with (
        torch.inference_mode(),
        torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as profile,
    ):
        (network.link if name == "linkage" else network)(*inputs)
    changes = [event.nbytes() for event in profile.profiler.kineto_results.events() if event.name() == "[memory]"]
    held, foreseen = np.cumsum(changes).max(), batch * activation_bytes(network, 512)
    assert foreseen / 2 < held < foreseen

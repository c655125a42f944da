"""Networks are those that a card names, with the tensors that its weights have."""

import pytest

from raycluster.models.build import build_network
from raycluster.models.card import load_card
from raycluster.models.networks.adaptive_filter import AdaptiveFilter
from raycluster.models.networks.face_transformer import FaceTransformer
from raycluster.models.networks.relation_predictor import PairPredictor, RowPredictor
from raycluster.models.networks.relative import RelativePredictor
from raycluster.models.weights import load_network
from support import tiny

KINDS = {
    "row": RowPredictor, "relative": RelativePredictor, "pair": PairPredictor, "linkage": FaceTransformer,
    "distance": FaceTransformer,
}  # fmt: skip


@pytest.mark.parametrize("form", KINDS)
def test_a_network_is_of_the_form_that_the_card_names_and_takes_the_models_weights(form, tmp_path):
    card = tiny.model(tmp_path, form, "none")
    for name, kind in (("filter", AdaptiveFilter), ("predictor", KINDS[form])):
        network = build_network(name, card)
        assert isinstance(network, kind)
        network.load_state_dict(load_network(str(tmp_path), card, name))


def test_the_shipped_model_fits_the_network_of_today():
    card, _ = load_card("auto")
    network = build_network("predictor", card)
    network.load_state_dict(load_network("auto", card, "predictor"))
    assert sum(value.numel() for value in network.parameters()) == card.networks["predictor"].parameters

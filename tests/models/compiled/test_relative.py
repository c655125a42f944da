"""The compiled predictor against its network in torch."""

import numpy as np
import pytest

from raycluster.models.arithmetic import Arithmetic, in_force
from raycluster.models.card import load_card
from raycluster.models.compiled.form import CompiledForm
from raycluster.models.inference import Predictor
from raycluster.models.scoring import is_compiled, open_scorer
from support import tiny
from support.scored import Rows

FLOAT32 = Arithmetic("float32", "cpu")


@pytest.mark.parametrize("model", ["auto", "tiny"])
@pytest.mark.parametrize("rows", [Rows(60), Rows(12), Rows(60, offset=0.3)], ids=["long", "short", "uncentered"])
@pytest.mark.parametrize("is_cut", [False, True])
def test_logits_are_those_of_the_network_in_torch(tmp_path, model, rows, is_cut):
    url = model if model == "auto" else str(tmp_path)
    card = load_card(url)[0] if model == "auto" else tiny.model(tmp_path, "relative", "none")
    if is_cut:
        rows.cut(5)
    with in_force(FLOAT32):
        assert is_compiled(card)
        found = open_scorer(url, card, rows.scored_set()).logits(0, len(rows.vectors))
        expected = Predictor.open(url, card, rows.scored_set()).logits(0, len(rows.vectors))
    assert isinstance(open_scorer(url, card, rows.scored_set()).form, CompiledForm)
    np.testing.assert_array_equal(np.isnan(found), np.isnan(expected))
    # a cosine beside a border of the bias table, or a logit beside that of doubt, may fall on either side of it
    error = np.nan_to_num(np.abs(found - expected))
    assert np.quantile(error, 0.98) < 1e-3
    assert error.max() < 0.3

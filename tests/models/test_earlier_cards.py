"""Keys that a card of before lacks have the values of before."""

import json
from dataclasses import asdict

from raycluster.config.networks import TrainingConfig
from raycluster.models.earlier_cards import EARLIER, fill_earlier


def test_missing_keys_are_filled_and_present_ones_stay() -> None:
    values = json.loads(json.dumps(asdict(TrainingConfig())))
    whole = json.loads(json.dumps(values))
    fill_earlier(values)
    assert values == whole  # nothing is missing
    del values["filter"]["output"], values["predictor"]["fit"]["schedule"], values["limits"]
    fill_earlier(values)
    assert values["filter"]["output"] == EARLIER["filter.output"] == "sigmoid"
    assert values["predictor"]["fit"]["schedule"] == "cosine"
    assert values["limits"] == "fitted"


def test_sections_that_are_no_mappings_are_left_to_the_reader() -> None:
    values = {"filter": 3}
    fill_earlier(values)
    assert values == {"filter": 3, "limits": "fitted"}

"""Tables 5 and 6 of S3: one setting at a time, and differences paired by training."""

from typing import Any

import pytest

from benchmarks.papers import face_transformer
from benchmarks.papers.face_transformer import SETTINGS, SMALL_SETTINGS, Args, table_5, table_6, values_of
from raycluster.config.load import load_config, load_training

ARGS = Args(("train",), "test", "work", seeds=(0, 1))
PLACES = {"depth": "layers", "heads": "heads", "head width": "head_width", "dropout": "dropout"}
"""Settings of the encoder."""


def test_the_published_default_is_the_recipe() -> None:
    values = values_of(Args(("train",), "test", "work", published=True))
    recipe = load_training("face-transformer").predictor
    encoder = values["training"]["predictor"]["encoder"]
    assert values["knn"]["k"] == load_config("face-transformer").knn.k == 151
    assert values["training"]["predictor"]["hop2"] == recipe.hop2 == 5
    assert (encoder["layers"], encoder["heads"], encoder["dropout"]) == (2, 4, 0.4)
    assert (encoder["layers"], encoder["heads"], encoder["dropout"]) == (
        recipe.encoder.layers,
        recipe.encoder.heads,
        recipe.encoder.dropout,
    )
    assert encoder["heads"] * encoder["head_width"] == encoder["width"] == 256
    assert values["training"]["predictor"]["fit"] == {}, "rate, decay and batch stay the recipe's"


@pytest.mark.parametrize("published", [False, True])
def test_every_row_of_table_6_alters_one_setting(published: bool) -> None:
    args = Args(("train",), "test", "work", published=published)
    plain = values_of(args)
    for name, others in (SETTINGS if published else SMALL_SETTINGS).items():
        for value in others:
            altered = values_of(args, name, value)
            if name in PLACES:
                own = altered["training"]["predictor"]["encoder"]
                assert own.pop(PLACES[name]) == value
                altered["training"]["predictor"]["encoder"] = {
                    **own,
                    PLACES[name]: plain["training"]["predictor"]["encoder"][PLACES[name]],
                }
            elif name == "hop1":
                assert altered["knn"]["k"] == value + 1
                altered["knn"]["k"] = plain["knn"]["k"]
            else:
                assert altered["training"]["predictor"]["hop2"] == value
                altered["training"]["predictor"]["hop2"] = plain["training"]["predictor"]["hop2"]
            assert altered == plain


def test_differences_are_paired_by_training(monkeypatch: pytest.MonkeyPatch) -> None:
    scores = {"face-transformer": 5.0, "face-transformer-only-re": 7.0, "face-transformer-only-lp": 4.0}

    def points_of(args: Args, recipe: str, name: str, _: dict[str, Any]) -> dict[int, dict[str, float]]:
        own = scores[recipe] + (0.5 if name == "-hop2-8" else 0)
        return {seed: dict.fromkeys(face_transformer.COLUMNS, own + 10 * seed) for seed in args.seeds}

    monkeypatch.setattr(face_transformer, "points_of", points_of)
    *_, (_, halves) = table_5(ARGS)
    assert [(row["claim"], row["F_B"], row["by F_B it"]) for row in halves] == [
        ("RE + LP is above only RE", "-2.00 ± 0.00", "does not hold"),
        ("RE + LP is above only LP", "+1.00 ± 0.00", "holds"),
    ]
    *_, (_, rows), (_, differences) = table_6(ARGS)
    assert len(rows) == 1 + len(differences) == 13
    found = {row["claim"]: row["by F_B it"] for row in differences}
    assert found["hop2 8 is above the default"] == "holds"
    assert found["dropout 0.2 is above the default"] == "open"

"""Generated sets of every kind: a function of seed and number, written once."""

import numpy as np
import pytest

from raycluster.storage.object_store import Store
from raycluster.synthetic import varied as generated
from raycluster.synthetic.generator import SyntheticConfig, generate


def test_a_varied_set_is_a_function_of_seed_and_number():
    assert generated.varied(3, 5) == generated.varied(3, 5)
    some = {generated.varied(seed, number) for seed in (0, 1) for number in range(30)}
    assert len({config.seed for config in some}) == len(some) == 60


def test_varied_sets_hold_small_and_large_identities_relatives_and_strangers():
    some = [generated.varied(0, number) for number in range(200)]
    assert min(config.mean_size for config in some) < 1.4
    assert max(config.mean_size for config in some) > 150
    assert 0.05 < np.mean([config.clan_cosine > 0 for config in some]) < 0.4
    assert {config.width for config in some} == {64, 96, 128, 192, 256, 384, 512}
    assert 0.2 < np.mean([config.offset > 0 for config in some]) < 0.5


def test_sets_are_written_once_and_again_where_one_is_not_whole(tmp_path, monkeypatch):
    small = {"rows": 200, "width": 16, "mean_size": 4.0}
    monkeypatch.setattr(generated, "varied", lambda seed, number: SyntheticConfig(seed=number, **small))
    urls = generated.write_varied(str(tmp_path), 3, 0)
    store = Store(str(tmp_path))
    before = {name: store.get(name) for name in store.files()}
    store.delete("varied-0001.json")
    assert generated.write_varied(str(tmp_path), 3, 0) == urls
    assert {name: store.get(name) for name in store.files()} == before
    assert len(urls) == len(set(urls)) == 3


@pytest.mark.parametrize(
    ("knob", "nearer"),
    [
        ({"copy_share": 1.0, "copy_cosine": 0.95}, "own"),
        ({"style_share": 1.0, "style_cosine": 0.95, "family_share": 1.0, "styles": 1}, "family"),
        ({"clan_size": 4, "clan_cosine": 0.9, "family_share": 1.0}, "clan"),
        ({"offset": 0.5}, "anyone"),
    ],
)
def test_each_knob_brings_nearer_whom_it_names(knob, nearer):
    plain = {"rows": 3000, "width": 64, "mean_size": 6.0, "family_size": 4, "modes": 1, "low_quality_share": 0.0}
    cosine = {}
    for name, config in (("before", plain), ("after", plain | {"family_share": knob.get("family_share", 0.3)} | knob)):
        _, vectors, label = next(generate(SyntheticConfig(**config)))
        product = vectors @ vectors.T
        same, kin = label[:, None] == label, label[:, None] // 4 == label // 4
        clan = label[:, None] // 16 == label // 16
        np.fill_diagonal(same, val=False)
        cosine[name] = {
            "own": np.quantile(product[same], 0.9),
            "family": product[kin & (label[:, None] != label)].mean(),
            "clan": product[clan & ~kin].mean(),
            "anyone": product[~clan].mean(),
        }
    assert cosine["after"][nearer] > cosine["before"][nearer] + 0.03


def test_a_looser_picture_spread_widens_the_cosines_of_an_identity():
    spread = []
    for value in (0.0, 0.2):
        config = SyntheticConfig(
            rows=2000, width=128, mean_size=10.0, modes=1, picture_spread=value, low_quality_share=0.0
        )
        _, vectors, label = next(generate(config))
        same = (label[:, None] == label) & ~np.eye(len(label), dtype=bool)
        spread.append((vectors @ vectors.T)[same].std())
    assert spread[1] > spread[0] + 0.02

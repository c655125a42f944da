import dataclasses
import subprocess
import sys
import tracemalloc

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raycluster.errors import InputError
from raycluster.synthetic import generator as synthetic
from raycluster.synthetic.generator import PRESETS, SyntheticConfig, generate, write_parquet

PLAIN = {"same_cosine_spread": 0.0, "modes": 1, "family_share": 0.0, "low_quality_share": 0.0}


def everything(config, rows_per_block=65536):
    ids, embeddings, labels = (np.concatenate(parts) for parts in zip(*generate(config, rows_per_block), strict=True))
    return ids, embeddings, labels


def cosines(embeddings, labels, same, pairs=100_000):
    """Cosines of random pairs of different rows: of one identity, or of two."""
    random = np.random.default_rng(0)
    order = np.argsort(labels, kind="stable")
    if same:
        start = np.searchsorted(labels[order], labels[order], side="left")
        size = np.bincount(labels)[labels[order]]
        a = random.integers(0, len(labels), pairs)
        b = start[a] + (random.random(pairs) * size[a]).astype(int)
        a, b = order[a], order[b]
        keep = a != b
    else:
        a, b = random.integers(0, len(labels), (2, pairs))
        keep = labels[a] != labels[b]
    return np.einsum("nd,nd->n", embeddings[a[keep]], embeddings[b[keep]])


@pytest.mark.slow
@pytest.mark.parametrize("rows_per_block", [1, 37, 4096, 5000, 10**6])
def test_block_size_changes_nothing(rows_per_block):
    config = SyntheticConfig(rows=300 if rows_per_block < 100 else 9001, width=24, max_size=60)
    blocks = list(generate(config, rows_per_block))
    assert max(len(ids) for ids, _, _ in blocks) == min(rows_per_block, config.rows)
    for whole, cut in zip(everything(config), everything(config, rows_per_block), strict=True):
        assert np.array_equal(whole, cut)
        assert whole.dtype == cut.dtype


def test_types_lengths_and_order():
    ids, embeddings, labels = everything(SyntheticConfig(rows=5000, width=50))
    assert (ids.dtype, embeddings.dtype, labels.dtype) == (np.int64, np.float32, np.int64)
    assert embeddings.shape == (5000, 50)
    assert np.array_equal(ids, np.arange(5000))
    assert np.array_equal(np.unique(labels), np.arange(labels.max() + 1))
    np.testing.assert_allclose(np.linalg.norm(embeddings, axis=1), 1, atol=1e-6)


def test_the_seed_decides():
    config = SyntheticConfig(rows=3000, width=16)
    first, again = everything(config), everything(config)
    other = everything(dataclasses.replace(config, seed=1))
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not np.array_equal(first[2], other[2])
    assert np.abs((first[1] * other[1]).sum(axis=1)).mean() < 0.5


def test_rows_are_scattered_and_labels_tell_no_size():
    _, _, labels = everything(SyntheticConfig(rows=20_000, width=4, mean_size=20.0))
    positions = [np.flatnonzero(labels == label) for label in np.flatnonzero(np.bincount(labels) >= 100)]
    assert np.mean([place.mean() for place in positions]) == pytest.approx(10_000, rel=0.05)
    assert np.mean(np.diff(labels) == 0) < 0.05
    sizes = np.bincount(labels)
    assert abs(np.corrcoef(np.arange(len(sizes)), sizes)[0, 1]) < 0.15


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_sizes_sum_to_the_rows_and_keep_their_bounds(data):
    low = data.draw(st.integers(1, 50))
    high = data.draw(st.integers(low, 500))
    config = SyntheticConfig(
        rows=data.draw(st.integers(1, 200_000)),
        min_size=low,
        max_size=high,
        mean_size=data.draw(st.floats(low, high)),
        tail_exponent=data.draw(st.floats(-3, 4)),
    )
    sizes, counts = synthetic.size_counts(config)
    assert (counts >= 0).all()
    assert sizes @ counts == config.rows
    assert counts[: low - 1].sum() <= 1
    if config.rows > 100 * config.mean_size:
        assert config.rows / counts.sum() == pytest.approx(config.mean_size, rel=0.02)


def test_exact_sizes():
    def sizes(**settings):
        return np.bincount(everything(SyntheticConfig(width=2, **settings))[2])

    assert set(sizes(rows=5000, mean_size=500.0, min_size=500)) == {500}
    assert sorted(sizes(rows=1100, mean_size=500.0, min_size=500)) == [100, 500, 500]
    assert set(sizes(rows=777, mean_size=1.0)) == {1}
    assert list(sizes(rows=7, mean_size=68.0, min_size=20)) == [7]
    assert list(sizes(rows=1)) == [1]


def test_long_tail_has_the_sizes_of_labeled_faces_in_the_wild():
    sizes = np.bincount(everything(SyntheticConfig(**PRESETS["long-tail"] | {"width": 2}))[2])
    assert np.mean(sizes == 1) == pytest.approx(0.71, abs=0.02)
    assert sizes.max() > 300
    assert sizes.mean() == pytest.approx(2.25, rel=0.01)


@pytest.mark.slow
@pytest.mark.parametrize(("width", "dimension"), [(128, 105.0), (256, 105.0), (512, 105.0), (256, 40.0), (64, 105.0)])
def test_strangers_scatter_by_the_effective_dimension(width, dimension):
    config = SyntheticConfig(rows=8000, width=width, effective_dimension=dimension, **PLAIN)
    different = cosines(*everything(config)[1:], same=False)
    assert different.mean() == pytest.approx(0, abs=0.01)
    assert different.std() == pytest.approx(min(dimension, width) ** -0.5, rel=0.06)


@pytest.mark.parametrize("same_cosine", [0.3, 0.55, 0.8])
def test_same_cosine_is_met(same_cosine):
    config = SyntheticConfig(rows=8000, **PLAIN | {"same_cosine": same_cosine})
    assert cosines(*everything(config)[1:], same=True).mean() == pytest.approx(same_cosine, abs=0.02)


def test_defaults_look_like_real_faces():
    _, embeddings, labels = everything(SyntheticConfig(rows=12_000, width=512))
    same, different = cosines(embeddings, labels, same=True), cosines(embeddings, labels, same=False)
    assert same.mean() == pytest.approx(0.65, abs=0.04)
    assert same.std() == pytest.approx(0.13, abs=0.03)
    assert different.mean() == pytest.approx(0.005, abs=0.01)
    assert different.std() == pytest.approx(0.098, abs=0.005)


def test_spread_varies_the_tightness_of_identities():
    def deviation(spread):
        config = SyntheticConfig(rows=10_000, mean_size=50.0, min_size=50, **PLAIN | {"same_cosine_spread": spread})
        _, embeddings, labels = everything(config)
        sums = np.zeros((labels.max() + 1, config.width))
        np.add.at(sums, labels, embeddings)
        sizes = np.bincount(labels)
        return (((sums**2).sum(axis=1) - sizes) / (sizes * (sizes - 1))).std()

    assert deviation(0.0) < 0.04
    assert deviation(0.1) == pytest.approx(0.1, abs=0.025)


def test_modes_split_an_identity():
    config = SyntheticConfig(rows=4000, mean_size=400.0, **PLAIN | {"modes": 3, "mode_cosine": 0.6, "same_cosine": 0.9})
    assert cosines(*everything(config)[1:], same=True).std() > 0.15
    tight = dataclasses.replace(config, mode_cosine=1.0)
    assert cosines(*everything(tight)[1:], same=True).std() < 0.06


def test_families_look_alike():
    family = {"family_share": 0.5, "family_size": 4, "family_cosine": 0.6}
    config = SyntheticConfig(rows=6000, mean_size=30.0, min_size=30, **PLAIN | family | {"same_cosine": 0.95})
    _, embeddings, labels = everything(config)
    centres = np.zeros((labels.max() + 1, config.width))
    np.add.at(centres, labels, embeddings)
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    nearest = np.sort(centres @ centres.T, axis=1)[:, ::-1]
    in_family = nearest[:, 3] > 0.4
    assert in_family.mean() == pytest.approx(0.5, abs=0.05)
    assert nearest[in_family, 1:4].mean() == pytest.approx(0.6, abs=0.05)
    assert (nearest[in_family, 4] < 0.45).mean() > 0.9


def test_bad_pictures_of_different_persons_resemble_each_other():
    quality = {"low_quality_share": 1.0, "low_quality_directions": 2, "low_quality_strength": 0.8}
    good = SyntheticConfig(rows=4000, **PLAIN)
    bad = SyntheticConfig(rows=4000, **PLAIN | quality)
    assert np.quantile(cosines(*everything(good)[1:], same=False), 0.9) < 0.15
    assert np.quantile(cosines(*everything(bad)[1:], same=False), 0.9) > 0.4
    some = dataclasses.replace(bad, low_quality_share=0.25)
    changed = (everything(good)[1] != everything(some)[1]).any(axis=1)
    assert changed.mean() == pytest.approx(0.25, abs=0.03)


@pytest.mark.slow
def test_memory_is_bounded_by_the_block():
    config = SyntheticConfig(rows=150_000, width=64)
    whole = config.rows * config.width * 4
    tracemalloc.start()
    for _ in generate(config, 4096):
        pass
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < whole / 4


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_generate(preset):
    _, embeddings, labels = everything(SyntheticConfig(**PRESETS[preset] | {"rows": 3000}))
    assert len(embeddings) == len(labels) == 3000
    assert np.isfinite(embeddings).all()


def test_parquet_is_what_generate_yields_whatever_the_file_size(tmp_path):
    config = SyntheticConfig(rows=2500, width=12)
    names = write_parquet(config, tmp_path / "a", rows_per_file=1000)
    assert names == ["part-00000.parquet", "part-00001.parquet", "part-00002.parquet"]
    write_parquet(config, tmp_path / "b")
    parts, one = pq.read_table(tmp_path / "a"), pq.read_table(tmp_path / "b")
    assert parts.equals(one)
    assert one.schema.field("embedding").type == pa.list_(pa.field("element", pa.float32(), nullable=False), 12)
    ids, embeddings, labels = everything(config)
    assert np.array_equal(one["id"].to_numpy(), ids)
    assert np.array_equal(one["label"].to_numpy(), labels)
    assert np.array_equal(np.stack(one["embedding"].to_numpy()), embeddings)
    column = pq.read_metadata(tmp_path / "b" / "part-00000.parquet").row_group(0).column(1)
    assert column.compression == "ZSTD"
    assert "RLE_DICTIONARY" not in column.encodings
    with pytest.raises(InputError, match="already holds"):
        write_parquet(config, tmp_path / "a")


def test_command_line(tmp_path):
    command = [sys.executable, "-m", "raycluster.synthetic", "--output", str(tmp_path), "--preset", "dense"]
    command += ["--rows", "1500", "--seed", "3"]
    subprocess.run(command, check=True, capture_output=True)
    expected = everything(SyntheticConfig(**PRESETS["dense"] | {"rows": 1500, "seed": 3}))
    assert np.array_equal(pq.read_table(tmp_path)["label"].to_numpy(), expected[2])
    again = subprocess.run(command, capture_output=True, text=True)
    assert again.returncode == 2
    assert again.stderr.startswith("error: ")
    assert again.stderr.count("\n") == 1

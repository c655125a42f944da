"""The command that generates a set: its presets, and options over them."""

import typing
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from raycluster.commands.generate import SyntheticArgs, main
from raycluster.errors import ConfigError
from raycluster.synthetic.generator import generate
from raycluster.synthetic.settings import PRESETS, SyntheticConfig


def test_every_preset_can_be_chosen() -> None:
    assert set(typing.get_args(typing.get_type_hints(SyntheticArgs)["preset"])) == set(PRESETS)


def test_options_lie_over_the_preset(tmp_path: Path) -> None:
    summary = main(SyntheticArgs(str(tmp_path), "long-tail", rows=300, width=8, seed=2))
    assert summary == {"rows": 300, "width": 8, "files": ["part-00000.parquet"]}
    config = SyntheticConfig(**PRESETS["long-tail"] | {"rows": 300, "width": 8, "seed": 2})
    _, embeddings, labels = next(generate(config))
    table = pq.read_table(tmp_path)
    np.testing.assert_array_equal(table["label"].to_numpy(), labels)
    np.testing.assert_array_equal(np.stack(table["embedding"].to_numpy()), embeddings)


def test_a_number_out_of_range_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"^synthetic\.rows is 0: "):
        main(SyntheticArgs(str(tmp_path / "out"), rows=0))
    assert not (tmp_path / "out").exists()

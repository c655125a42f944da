"""Keys of the configuration on a command line: every way to write one, and one sentence for every way not to."""

from typing import Any

import pytest

from raycluster.commands.configuration import stage_sections
from raycluster.commands.keys import describe_keys, split_keys
from raycluster.errors import ConfigError

SECTIONS = stage_sections()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("--edges.eta 0.6", {"edges": {"eta": 0.6}}),
        ("--edges.eta=0.6", {"edges": {"eta": 0.6}}),
        ("--edges.threshold -0.25", {"edges": {"threshold": -0.25}}),
        ("--edges.threshold 5e-1", {"edges": {"threshold": 0.5}}),
        ("--set edges.eta=0.6", {"edges": {"eta": 0.6}}),
        ("--set=knn.k=7", {"knn": {"k": 7}}),
        ("--topk.predict", {"topk": {"predict": True}}),
        ("--topk.no-predict", {"topk": {"predict": False}}),
        ("--topk.predict false", {"topk": {"predict": False}}),
        ("--topk.predict=true", {"topk": {"predict": True}}),
        ("--labels.min-cluster-size 3 --knn.k 9", {"labels": {"min_cluster_size": 3}, "knn": {"k": 9}}),
        ("--knn.k 5 --knn.k 6", {"knn": {"k": 6}}),
        ("--edges.threshold None", {"edges": {"threshold": None}}),
        ("--knn.source 123", {"knn": {"source": "123"}}),
    ],
)
def test_a_key_may_be_written_in_several_ways(words: str, expected: dict[str, Any]) -> None:
    assert split_keys(words.split(), SECTIONS) == ([], expected)


def test_other_words_are_left_in_their_order() -> None:
    words = ["faces.parquet", "--knn.k", "9", "-o", "run", "--topk.predict", "--workers", "2", "a.b"]
    rest, keys = split_keys(words, SECTIONS)
    assert rest == ["faces.parquet", "-o", "run", "--workers", "2", "a.b"]
    assert keys == {"knn": {"k": 9}, "topk": {"predict": True}}


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("--knn.kk 3", "Unrecognized options: --knn.kk; did you mean --knn.k?"),
        ("--edges.rows_per_moon 3", "Unrecognized options: --edges.rows-per-moon; "),
        ("--knn.k", "--knn.k needs a value."),
        ("--knn.k --edges.eta 0.5", "--knn.k needs a value."),
        ("--set edges.eta", "--set takes KEY=VALUE, such as edges.eta=0.6, but got 'edges.eta'."),
        ("--set", "--set takes KEY=VALUE, such as edges.eta=0.6, but got ''."),
    ],
)
def test_a_mistake_is_one_sentence(words: str, sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        split_keys(words.split(), SECTIONS)
    assert str(caught.value).startswith(sentence)


def test_every_key_is_described_with_its_type_and_meaning() -> None:
    text = describe_keys(SECTIONS)
    for key in ("--knn.k  int", "--edges.threshold  float", "--labels.min-cluster-size  int"):
        assert key in text
    lines = text.splitlines()
    bare = [
        line
        for line, after in zip(lines, [*lines[1:], ""], strict=True)
        if line.startswith("  --") and not after.strip()
    ]
    assert bare == []

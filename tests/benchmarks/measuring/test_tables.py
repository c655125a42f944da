"""Tables for people and for the documentation."""

import json
from pathlib import Path

import pytest

from benchmarks.measuring.tables import Tables, markdown, publish


def test_numbers_have_four_digits_and_missing_cells_are_empty() -> None:
    rows = [{"method": "a", "seconds": [1.23456, 2.0]}, {"method": "b", "rows": 3, "failed": "why"}]
    assert markdown(rows).splitlines() == [
        "| method | rows | failed | seconds |",
        "| --- | --- | --- | --- |",
        "| a |  |  | 1.235, 2 |",
        "| b | 3 | why |  |",
    ]


def test_every_table_is_written_as_soon_as_it_is_complete(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "results" / "one.json"

    def tables() -> Tables:
        yield "first", [{"a": 1}]
        assert json.loads(path.read_text()) == {"command": "it", "tables": {"first": [{"a": 1}]}}
        assert "### first" in capsys.readouterr().out
        yield "second", [{"b": 2.0}]
        yield "first", [{"a": 1}, {"a": 2}]

    expected = {"first": [{"a": 1}, {"a": 2}], "second": [{"b": 2.0}]}
    assert publish(tables(), path, {"command": "it"}) == expected
    assert json.loads(path.read_text()) == {"command": "it", "tables": expected}

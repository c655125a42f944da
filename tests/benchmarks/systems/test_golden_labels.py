"""The pinned labels: a baseline agrees with itself, and a changed label is a difference."""

import json
from pathlib import Path

import pytest

from benchmarks.__main__ import main
from benchmarks.systems import golden_labels
from support.paths import ROOT

pytestmark = pytest.mark.process
CASE = "singletons/components/1/local"


def options(folder: Path) -> list[str]:
    folders = (("--models", "models"), ("--inputs", "inputs"), ("--work", "work"), ("--data", "data"))
    named = [word for option, name in folders for word in (option, str(folder / name))]
    return ["golden_labels", "--scale", "quick", "--only", CASE, *named]


def test_a_baseline_agrees_with_itself_until_a_label_changes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    baseline = tmp_path / "baseline.json"
    for words in (["--output", str(baseline)], ["--check", str(baseline)], ["--here", "--check", str(baseline)]):
        with pytest.raises(SystemExit) as end:
            main([*options(tmp_path), *words])
        assert end.value.code == 0
    found = json.loads(baseline.read_text())
    assert list(found["cases"]) == [CASE]
    assert found["cases"][CASE]["rows"] == 5000
    assert found["command"]
    found["cases"][CASE]["partition"] = found["cases"][CASE]["digest"] = "another"
    baseline.write_text(json.dumps(found))
    capsys.readouterr()
    with pytest.raises(SystemExit) as end:
        main([*options(tmp_path), "--here", "--check", str(baseline)])
    assert end.value.code == 1
    assert f"DIFFERS {CASE}: other partition" in capsys.readouterr().out


def test_the_pinned_labels_hold_every_recipe_and_agree_for_any_number_of_shards() -> None:
    pinned = json.loads((ROOT / "benchmarks" / "results" / "golden_labels.json").read_text())
    cases = pinned["cases"]
    assert {key.split("/")[1] for key in cases} == set(golden_labels.ALL)
    assert all(len(entry["digest"]) == len(entry["partition"]) == 64 for entry in cases.values())
    digests: dict[str, set[str]] = {}
    for key, entry in cases.items():
        digests.setdefault(key.rsplit("/", 2)[0], set()).add(entry["digest"])
    assert all(len(found) == 1 for found in digests.values())

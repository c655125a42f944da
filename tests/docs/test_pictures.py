"""Committed pictures are what their script draws."""

import importlib.util
from pathlib import Path

import pytest

from support.paths import ROOT


def test_pictures_are_as_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = importlib.util.spec_from_file_location("draw_pictures", ROOT / "docs" / "_build" / "draw_pictures.py")
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    monkeypatch.setattr(script, "PICTURES", tmp_path)
    script.main()
    drawn = {path.name: path.read_text() for path in tmp_path.glob("*.svg")}
    assert drawn == {path.name: path.read_text() for path in (ROOT / "docs" / "pictures").glob("*.svg")}

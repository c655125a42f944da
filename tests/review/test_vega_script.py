"""The script of the charts."""

import sys
from importlib import metadata

import pytest

from raycluster.errors import ConfigError
from raycluster.review import vega_script


def test_the_script_is_bundled_once_and_kept(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    made = []
    monkeypatch.setattr(vega_script, "_bundled", lambda: made.append(1) or "script")
    assert [vega_script.vega_script() for _ in range(3)] == ["script"] * 3
    assert len(made) == 1
    assert [path.name for path in tmp_path.rglob("*.js")] == [f"vega-{metadata.version('vl-convert-python')}.js"]


def test_a_folder_that_cannot_be_written_is_no_error(tmp_path, monkeypatch):
    (tmp_path / "raycluster").write_text("a file where the folder should be")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(vega_script, "_bundled", lambda: "script")
    assert vega_script.vega_script() == "script"


def test_the_script_may_stand_inside_a_page(monkeypatch):
    monkeypatch.setattr(sys.modules["vl_convert"], "javascript_bundle", lambda _: "a='<!--</script>'\r\nb")
    assert vega_script._bundled() == "a='\\x3c!--\\x3c/script>'\nb"


def test_without_vl_convert_one_sentence_installs_it(monkeypatch):
    def absent(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(vega_script.metadata, "version", absent)
    with pytest.raises(ConfigError, match=r"pip install 'raycluster\[report\]'"):
        vega_script.vega_script()

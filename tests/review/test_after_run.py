"""The report that closes a run never fails it."""

import shutil
import sys

import pytest

from raycluster.review import after_run
from support.command_line import call


@pytest.fixture
def run(cosine_run, tmp_path):
    copy = tmp_path / "run"
    shutil.copytree(cosine_run, copy)
    (copy / "report.html").unlink(missing_ok=True)
    return copy


@pytest.mark.slow
def test_a_run_ends_with_a_report(identities, tmp_path):
    words = [identities, "-o", str(tmp_path / "run"), "--effort", "fast", "--executor", "local"]
    assert call("cluster", *words).code == 0
    page = tmp_path / "run" / "report.html"
    assert page.read_text().startswith("<!doctype html>")
    page.write_text("with pictures")
    assert call("cluster", *words).code == 0
    assert page.read_text() == "with pictures"


def test_no_report_where_none_is_needed(identities, tmp_path):
    words = [identities, "-o", str(tmp_path / "run"), "--effort", "fast", "--executor", "local", "--no-report"]
    assert call("cluster", *words).code == 0
    assert not (tmp_path / "run" / "report.html").exists()


def test_a_missing_package_is_one_sentence(run, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "altair", None)
    assert after_run.report_line(str(run)) is None
    assert capsys.readouterr().err == (
        "no report: A report needs the package altair. Install what reports need: pip install 'raycluster[report]'.\n"
    )


def test_any_failure_is_one_sentence(run, monkeypatch, capsys):
    def broken(*_):
        raise ZeroDivisionError("a\nchart")

    monkeypatch.setattr(after_run, "report", broken)
    assert after_run.report_line(str(run)) is None
    assert "no report: ZeroDivisionError: a chart; raycluster report" in capsys.readouterr().err


def test_a_set_that_is_too_large_is_left(run, monkeypatch, capsys):
    monkeypatch.setattr(after_run, "BYTES_PER_ROW", 10**12)
    assert after_run.report_line(str(run)) is None
    assert "GiB of memory" in capsys.readouterr().err

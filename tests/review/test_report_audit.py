"""The audit's section of the report."""

import json
import shutil

import pyarrow as pa
import pytest

from raycluster.review.audit import schema
from raycluster.review.audit_run import PATH
from raycluster.review.opened_run import OpenedRun
from raycluster.review.report_audit import SHOWN, audit_section
from support.charts import drawn
from support.command_line import call


@pytest.fixture
def run(auto_run, tmp_path):
    copy = str(tmp_path / "run")
    shutil.copytree(auto_run[0], copy)
    return copy


def test_findings_are_counted_and_the_most_confident_are_listed(run):
    opened = OpenedRun.of(run)
    assert audit_section(opened) is None
    count = SHOWN + 10
    rows = [
        {"id": at, "given_label": "<b>", "suggested_label": None, "confidence": at / count,
         "kind": "mislabelled" if at % 3 else "one identity under several labels"}
        for at in range(count)
    ]  # fmt: skip
    opened.store.put_tables(PATH, [pa.Table.from_pylist(rows, schema(pa.int64()))])
    section = audit_section(opened)
    assert drawn(section.chart) == [
        [{"name": "mislabelled", "value": 40}, {"name": "one identity under several labels", "value": 20}]
    ]
    assert [row[0] for row in section.rows] == [str(at) for at in range(count - 1, count - 1 - SHOWN, -1)]
    assert section.rows[0][1:3] == ("<b>", None)


def test_an_audit_shows_in_the_next_report(run, auto_run):
    assert call("audit", run, "--truth", auto_run[1]).code == 0
    section = audit_section(OpenedRun.of(run))
    assert section.name == "audit"
    assert (section.chart is None) == (section.missing is not None) == (not section.rows)
    outcome = call("report", run)
    assert outcome.code == 0, outcome.stderr
    with open(json.loads(outcome.stdout)["report"]) as page:
        assert '<section id="audit"' in page.read()

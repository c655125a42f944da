"""What a run found, as sections."""

import itertools
from typing import ClassVar

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from raycluster.review.opened_run import OpenedRun
from raycluster.review.report_found import EACH_UP_TO, reliability_section, size_bins, size_section, strength_section
from support.charts import drawn


@given(st.lists(st.one_of(st.integers(1, 30), st.integers(1, 10**7)), min_size=1, max_size=60))
def test_bins_hold_every_cluster_once(sizes):
    size = np.array(sizes, np.int64)
    bins = size_bins(size)
    assert sum(line["clusters"] for line in bins) == len(size)
    assert sum(line["rows"] for line in bins) == size.sum()
    assert bins[-1]["rows_up_to"] == pytest.approx(1)
    for line in bins:
        inside = size[(size >= line["size"]) & (size <= line["last"])]
        assert (len(inside), inside.sum()) == (line["clusters"], line["rows"])
        assert line["rows_up_to"] == pytest.approx(size[size <= line["last"]].sum() / size.sum())
    assert all(before["last"] < after["size"] for before, after in itertools.pairwise(bins))


def test_small_sizes_have_a_bin_of_their_own():
    bins = size_bins(np.arange(1, EACH_UP_TO + 1))
    assert [(line["size"], line["last"]) for line in bins] == [(size, size) for size in range(1, EACH_UP_TO + 1)]


def test_charts_hold_what_their_tables_hold(cosine_run):
    run = OpenedRun.of(cosine_run)
    section = size_section(run)
    assert [line["clusters"] for line in drawn(section.chart)[0]] == [row[1] for row in section.rows]
    assert sum(row[2] for row in section.rows) == run.labels.num_rows
    strength = strength_section(run)
    assert sum(row[2] for row in strength.rows) == np.count_nonzero(~np.isnan(run.strength))


class Alone:
    """A run in which no two rows share a cluster."""

    strength = np.full(3, np.nan)
    config: ClassVar = {}


def test_a_run_without_pairs_has_no_histogram():
    section = strength_section(Alone())
    assert (section.chart, section.missing) == (None, "No row shares a cluster.")


def test_reliability_of_the_card_and_of_the_run(auto_run, cosine_run):
    run = OpenedRun.of(auto_run[0])
    of_card = reliability_section(run, None)
    assert {row[0] for row in of_card.rows} == {"the model, on generated sets"}
    measured = [{"mean_strength": 0.9, "share_right": 0.8, "rows": 17}]
    both = reliability_section(run, measured)
    assert both.rows[-1] == ("this run", 0.9, 0.8, 17)
    assert reliability_section(OpenedRun.of(cosine_run), None).chart is None

"""A report of a million clusters: its size, its time, its memory, and how fast it opens."""

import json
import subprocess
import sys
import time

import numpy as np
import pytest

from support.browser import chromium, complaints, until
from support.paths import ROOT
from support.published import publish_labels

CLUSTERS = 1_000_000
MOST_SECONDS, MOST_KIB = 60, 2 * 2**20

SCRIPT = """
import json, resource, sys
from raycluster.review.report import ReportOptions, report
answer = report(sys.argv[1], ReportOptions())
print(json.dumps({**answer, "kib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss}))
"""


@pytest.mark.long
@pytest.mark.process
def test_a_million_clusters(tmp_path):
    rng = np.random.default_rng(0)
    size = np.minimum(rng.zipf(2.2, CLUSTERS), 20_000)
    cluster = np.repeat(np.arange(CLUSTERS), size)
    strength = np.where(size[cluster] > 1, rng.beta(9, 1, len(cluster)), np.nan)
    run = str(tmp_path / "run")
    publish_labels(run, cluster, strength)
    began = time.monotonic()
    done = subprocess.run([sys.executable, "-c", SCRIPT, run], cwd=ROOT, capture_output=True, text=True, check=True)
    seconds = time.monotonic() - began
    answer = json.loads(done.stdout)
    print(f"{len(cluster):,} rows: {answer['bytes']:,} bytes, {seconds:.1f} s, {answer['kib'] / 2**20:.2f} GiB")
    assert answer["bytes"] <= 8_000_000
    assert seconds <= MOST_SECONDS
    assert answer["kib"] <= MOST_KIB
    with chromium(str(tmp_path)) as browser:
        began = time.monotonic()
        browser.get(f"file://{run}/report.html")
        until(browser, "return document.documentElement.dataset.charts === 'drawn'")
        opened = time.monotonic() - began
        print(f"opened in {opened:.1f} s")
        assert complaints(browser) == []
    assert opened <= 3.0

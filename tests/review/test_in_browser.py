"""The report in a real browser, from file://, with no network."""

import base64
import io
import itertools
import json
import os
import shutil
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from raycluster.identities import decisions
from raycluster.pipeline.results import Results
from raycluster.review import queue_tables
from raycluster.review.items import ItemOptions
from raycluster.review.queue_tables import QueueItem, decided_pairs
from raycluster.review.queues import make_queues
from raycluster.review.report import ReportOptions, report
from raycluster.storage.object_store import Store
from support.browser import chromium, complaints, resize, until
from support.command_line import call

pytestmark = pytest.mark.process

HOSTILE = '"><img src=x onerror=document.title="owned"><script>document.title="owned"</script>'


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with chromium(str(tmp_path_factory.mktemp("downloads"))) as session:
        yield session


@pytest.fixture(scope="module")
def page(cosine_run, tmp_path_factory):
    """A report with pictures, hostile titles, and two queues: its path, and the items of the queues."""
    folder = tmp_path_factory.mktemp("page")
    run = str(folder / "run")
    shutil.copytree(cosine_run, run)
    ids = Results.of(run).labels(["id"])["id"].to_pylist()
    rng = np.random.default_rng(0)

    def picture(key):
        buffer = io.BytesIO()
        Image.new("RGB", (60, 40), tuple(rng.integers(0, 255, 3).tolist())).save(buffer, "JPEG")
        return buffer.getvalue() if key % 7 else b"broken"

    columns = {"id": ids, "image": [picture(key) for key in ids], "title": [f"{HOSTILE} {key}" for key in ids]}
    pq.write_table(pa.table(columns), folder / "items.parquet")
    merges = [
        QueueItem(at, "merge", at, at + 1, (ids[at], ids[at + 9]), (ids[at + 20],), {"gain": 1.5}, 0.8)
        for at in range(3)
    ]
    rows = [
        QueueItem(at, "row", at, at, (ids[at + 50],), (ids[at + 60], ids[at + 70]), {HOSTILE: 1}) for at in range(2)
    ]
    store = Store(run)
    for kind, items in (("merge", merges), ("row", rows)):
        queue_tables.write_queue(store, kind, queue_tables.table_of(items, pa.int64()))
    report(run, ReportOptions(ItemOptions(str(folder / "items.parquet"), "id", "image", "title")))
    return f"{run}/report.html", [*merges, *rows]


def opened(browser, path, width):
    """Open a page without answers of an earlier visit."""
    resize(browser, width)
    browser.get(f"file://{path}")
    browser.execute_script("localStorage.clear()")
    complaints(browser)
    browser.get_log("performance")
    browser.get(f"file://{path}")
    until(browser, "return document.documentElement.dataset.charts === 'drawn'")


def press(browser, *keys):
    """Press keys one after another."""
    for key in keys:
        browser.switch_to.active_element.send_keys(key)


@pytest.mark.parametrize("width", [360, 1440])
def test_every_chart_has_marks_and_nothing_is_loaded_or_wider_than_the_screen(browser, page, width):
    opened(browser, page[0], width)
    assert complaints(browser) == []
    requests = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    urls = [one["params"]["request"]["url"] for one in requests if one["method"] == "Network.requestWillBeSent"]
    assert {url.partition(":")[0] for url in urls} <= {"file", "data"}
    assert [url for url in urls if url.startswith("file")] == [f"file://{page[0]}"]
    marks = browser.execute_script(
        "return Object.fromEntries([...document.querySelectorAll('.chart')].map((chart) => [chart.id,"
        "[...chart.querySelectorAll('.mark-symbol path, .mark-rect path, .mark-line path, .mark-rule line')]"
        ".filter((mark) => !mark.closest('.role-axis, .role-legend')).length]))"
    )
    assert len(marks) >= 6
    assert min(marks.values()) > 0, marks
    assert browser.execute_script("return document.documentElement.scrollWidth <= window.innerWidth")
    assert browser.execute_script("return document.title").startswith("raycluster: ")


def test_tiles_show_pictures(browser, page):
    opened(browser, page[0], 1440)
    images = browser.execute_script(
        "return [...document.querySelectorAll('.tile:not(.gray)')].map((tile) => getComputedStyle(tile).backgroundImage)"
    )
    assert len(images) > 100
    assert all(image.startswith('url("data:image/webp;base64,') for image in images)
    size = "const image = new Image(); image.src = arguments[0].slice(5, -2); return image.decode().then(() => image.height)"
    assert browser.execute_script(size, images[0]) == 96
    gray = browser.execute_script("return [...document.querySelectorAll('.tile.gray')].map((tile) => tile.textContent)")
    assert set(gray) == {"no readable picture"}


@pytest.mark.parametrize("width", [360, 1440])
def test_keys_make_the_decisions_file(browser, page, width, tmp_path):
    path, items = page
    opened(browser, path, width)
    progress = "return document.getElementById('progress').textContent"
    assert browser.execute_script("return document.getElementById('save').disabled")
    press(
        browser, "s", "u", "u", "z", "d", "j", "d"
    )  # same, unsure, unsure taken back: different; one is left out; different
    assert browser.execute_script(progress) == "4 of 5 answered"
    browser.execute_script("document.getElementById('by').value = 'ann <b>'")
    table = decisions.checked(pq.read_table(saved(browser, tmp_path)), pa.int64(), "decisions.parquet")
    expected = [
        *decided_pairs(items[0], "same"),
        *decided_pairs(items[2], "different"),
        *decided_pairs(items[4], "different"),
    ]
    columns = [table[name].to_pylist() for name in ("id_a", "id_b", "same")]
    assert list(zip(*columns, strict=True)) == expected
    assert set(table["by"].to_pylist()) == {"ann <b>"}
    assert set(table["note"].to_pylist()) == {"merge 0", "merge 2", "row 1"}
    assert abs(table["at"][0].as_py().timestamp() - time.time()) < 600
    assert complaints(browser) == []


def saved(browser, folder):
    """The file that the button saves."""
    browser.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(folder)})
    browser.execute_script("document.getElementById('save').click()")
    file, began = Path(folder / "decisions.parquet"), time.monotonic()
    while not file.exists():
        assert time.monotonic() - began < 30, os.listdir(folder)
        time.sleep(0.05)
    return file


def test_an_answer_to_a_queue_of_the_run_goes_into_an_update(browser, cosine_run, tmp_path):
    run = str(tmp_path / "run")
    shutil.copytree(cosine_run, run)
    queues = make_queues(run)
    assert queues["merge"], "the set has no pair of clusters to suggest"
    report(run, ReportOptions())
    opened(browser, f"{run}/report.html", 1440)
    press(browser, "s")
    outcome = call("update", run, "--decisions", str(saved(browser, tmp_path)), "-o", str(tmp_path / "next"))
    assert outcome.code == 0, outcome.stderr
    table = Results.of(str(tmp_path / "next")).labels(["id", "cluster_id"])
    cluster = dict(zip(table["id"].to_pylist(), table["cluster_id"].to_pylist(), strict=True))
    first = queues["merge"][0]
    assert len({cluster[key] for key in (*first.ids_a, *first.ids_b)}) == 1


def test_answers_outlive_a_reload_and_the_mouse_works_too(browser, page):
    opened(browser, page[0], 1440)
    browser.execute_script("document.querySelector('#item-row-0 [data-answer=different]').click()")
    browser.refresh()
    until(browser, "return document.documentElement.dataset.charts === 'drawn'")
    pressed = "return document.querySelector('#item-row-0 [data-answer=different]').getAttribute('aria-pressed')"
    assert browser.execute_script(pressed) == "true"
    press(browser, "z")
    assert browser.execute_script(pressed) == "true", "only answers of this visit are undone"


@pytest.mark.parametrize(
    ("kind", "values", "arrow", "expected"),
    [
        ("text", "['a', 'ü€', '']", pa.string(), ["a", "ü€", ""]),
        ("long", "[1n, -5n, 9223372036854775807n]", pa.int64(), [1, -5, 2**63 - 1]),
        (
            "boolean",
            "[true, false, true, true, false, false, true, false, true]",
            pa.bool_(),
            [1, 0, 1, 1, 0, 0, 1, 0, 1],
        ),
        ("bytes", "[Uint8Array.of(0, 255), Uint8Array.of()]", pa.binary(), [b"\x00\xff", b""]),
    ],
)
def test_the_script_writes_parquet(browser, page, kind, values, arrow, expected):
    opened(browser, page[0], 1440)
    column = f"{{name: 'x', type: '{kind}', values: {values}}}"
    script = f"return parquetFile([{column}]).arrayBuffer().then((buffer) => [...new Uint8Array(buffer)])"
    table = pq.read_table(io.BytesIO(bytes(browser.execute_script(script))))
    assert (table.schema.field("x").type, table["x"].to_pylist()) == (arrow, expected)


def test_many_rows_and_columns(browser, page):
    opened(browser, page[0], 1440)
    script = (
        "const columns = Array.from({length: 20}, (_, c) => ({name: `c${c}`, type: 'long',"
        "values: Array.from({length: 20000}, (_, at) => BigInt(at * c))}));"
        "return parquetFile(columns).arrayBuffer().then((buffer) => {"
        "const bytes = Array.from(new Uint8Array(buffer), (value) => String.fromCharCode(value));"
        "return btoa(bytes.join('')); })"
    )
    table = pq.read_table(io.BytesIO(base64.b64decode(browser.execute_script(script))))
    assert (table.num_rows, table.num_columns) == (20_000, 20)
    assert np.array_equal(table["c19"].to_numpy(), np.arange(20_000) * 19)


def test_dark_pages_have_light_text(browser, page):
    opened(browser, page[0], 1440)
    brightness = (
        "const sum = (color) => color.match(/\\d+/g).slice(0, 3).reduce((a, b) => a + Number(b), 0);"
        "const text = document.querySelector('.chart svg text');"
        "return [sum(getComputedStyle(document.body).backgroundColor), sum(getComputedStyle(text).fill)]"
    )
    scheme = lambda name: {"features": [{"name": "prefers-color-scheme", "value": name}]}  # noqa: E731
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", scheme("light"))
    page_color, text_color = browser.execute_script(brightness)
    assert (page_color > 600, text_color < 200) == (True, True)
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", scheme("dark"))
    page_color, text_color = browser.execute_script(brightness)
    assert (page_color < 200, text_color > 500) == (True, True)
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def test_print_leaves_out_what_is_for_the_screen(browser, page):
    opened(browser, page[0], 1440)
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    hidden = "return ['nav', '.bar', '.answers'].map((name) => getComputedStyle(document.querySelector(name)).display)"
    assert browser.execute_script(hidden) == ["none"] * 3
    assert browser.execute_script("return getComputedStyle(document.querySelector('.scroll')).maxHeight") == "none"
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})


def test_a_screen_reader_has_names_for_everything(browser, page):
    opened(browser, page[0], 1440)
    tree = browser.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    named = {"image", "button", "link", "textbox", "region", "heading", "article", "figure", "group", "navigation"}
    nodes = [(node["role"]["value"], node.get("name", {}).get("value", "")) for node in tree if not node.get("ignored")]
    assert [node for node in nodes if node[0] in named and not node[1].strip()] == []
    assert sum(role == "image" for role, _ in nodes) > 100
    levels = browser.execute_script(
        "return [...document.querySelectorAll('h1, h2, h3')].map((h) => Number(h.tagName[1]))"
    )
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))

"""The report: one file, offline, of bounded size, in which nothing of the user's runs."""

import base64
import hashlib
import html.parser
import io
import json
import re
import shutil
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from raycluster.errors import ConfigError, InputError
from raycluster.pipeline.results import Results
from raycluster.review import queue_tables
from raycluster.review import report as module
from raycluster.review.items import ItemOptions
from raycluster.review.queue_tables import QueueItem
from raycluster.review.report import MOST_BYTES, ReportOptions, item_options, report
from raycluster.storage.object_store import Store
from support.command_line import call

HOSTILE = '</script><script>alert("x")</script><img src=x onerror=alert(1)>'


class Page(html.parser.HTMLParser):
    """Tags with their attributes, and the text of scripts and styles."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.tags, self.texts, self._inside = [], {"script": [], "style": []}, None
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self._inside = tag if tag in self.texts else None
        if self._inside:
            self.texts[tag].append("")

    def handle_endtag(self, tag):  # noqa: ARG002
        self._inside = None

    def handle_data(self, data):
        if self._inside:
            self.texts[self._inside][-1] += data

    def all(self, tag):
        """Attributes of every tag of a name."""
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture
def run(cosine_run, tmp_path):
    copy = tmp_path / "run"
    shutil.copytree(cosine_run, copy)
    return str(copy)


def made(run, options=ReportOptions()):  # noqa: B008
    answer = report(run, options)
    text = Store(run).get("report.html").decode()
    assert answer["bytes"] == len(text.encode()) <= MOST_BYTES
    return text, Page(text)


@pytest.mark.slow
def test_one_file_that_loads_nothing(run):
    text, page = made(run)
    policy = next(tag["content"] for tag in page.all("meta") if tag.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe" not in policy
    executed = [text for tag, text in zip(page.all("script"), page.texts["script"], strict=True) if "type" not in tag]
    for name, texts in (("script-src", executed), ("style-src", page.texts["style"])):
        hashes = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in texts]
        assert re.findall(r"'sha256-([^']+)'", policy.split(name)[1].split(";")[0]) == hashes
    loaded = [value for _, tag in page.tags for key, value in tag.items() if key in ("src", "srcset", "href", "action")]
    assert all(value.startswith(("#", "data:")) for value in loaded)
    assert not [key for _, tag in page.tags for key in tag if key.startswith("on") or key == "style"]
    assert "@import" not in "".join(page.texts["style"])
    assert text.count("</script>") == len(page.all("script"))


def test_every_chart_has_a_table_a_sentence_and_a_label(run):
    _, page = made(run)
    charts = json.loads(page.texts["script"][[tag.get("id") for tag in page.all("script")].index("charts")])
    places = {tag["id"]: tag for tag in page.all("div") if tag.get("class") == "chart"}
    assert places.keys() == {f"chart-{name}" for name in charts}
    assert {"sizes", "scores", "sweep", "strength", "health", "cost"} <= charts.keys()
    for tag in places.values():
        assert (tag["role"], len(tag["aria-label"]) > 60) == ("img", True)
    regions = [tag["aria-label"] for tag in page.all("div") if tag.get("class") == "scroll"]
    assert len(regions) >= len(charts)


def test_the_rest_lies_in_tables_by_id(run):
    made(run)
    table = pq.read_table(io.BytesIO(Store(run).get("review/clusters.parquet")))
    ids = set(ids_of(run))
    assert table.num_rows == 40
    assert {key for keys in table["strongest"].to_pylist() for key in keys} <= ids


def ids_of(run):
    """Ids of all rows of a run."""
    return Results.of(run).labels(["id"])["id"].to_pylist()


def items_of(run, folder, **columns):
    """Items of all rows of a run: ids, and columns as functions of an id."""
    ids = ids_of(run)
    path = str(folder / "items.parquet")
    pq.write_table(pa.table({"id": ids} | {name: [make(key) for key in ids] for name, make in columns.items()}), path)
    return path, ids


@pytest.mark.slow
def test_markup_in_texts_ids_and_file_names_stays_text(run, tmp_path):
    path, ids = items_of(run, tmp_path, title=lambda key: f"{HOSTILE} {key}", image=lambda key: f"{HOSTILE}/{key}")
    queue = [QueueItem(0, "merge", 1, 2, (ids[0],), (ids[1],), {HOSTILE: HOSTILE})]
    queue_tables.write_queue(Store(run), "merge", queue_tables.table_of(queue, pa.int64()))
    harmless = made(run)[1]
    options = ReportOptions(ItemOptions(path, "id", image_column="image", text_column="title"))
    text, page = made(run, options)
    assert "onerror=alert" not in text.replace("&lt;img src=x onerror=alert(1)&gt;", "")
    assert {name for name, _ in page.tags} <= {name for name, _ in harmless.tags} | {"span"}
    assert len(page.all("script")) == len(harmless.all("script"))
    assert "&lt;/script&gt;" in text


def test_ids_that_are_markup_stay_text():
    item = QueueItem(0, "row", 1, 1, (HOSTILE,), ("b",), {})
    from raycluster.review.report_cards import QUESTIONS, item_card

    card = item_card(item)
    card.shown = []
    page = module.rendered(
        "", {}, answers={"item-row-0": card.answer}, run=HOSTILE, version="1", made="now", headline=HOSTILE, summary=[],
        sections=[], galleries={"largest": [], "random": []}, id_kind="text",
        queues={"row": {"cards": [card], "total": 1, "words": QUESTIONS["row"]}},
    )  # fmt: skip
    assert HOSTILE not in page
    assert page.count("<script") == 4
    data = Page(page).texts["script"][1]
    assert json.loads(data)["items"]["item-row-0"]["a"] == [HOSTILE]


@pytest.mark.slow
def test_hostile_pictures_are_gray_tiles_with_reasons(run, tmp_path):
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    buffer = io.BytesIO()
    Image.new("RGB", (300, 200), "red").save(buffer, "PNG")
    (pictures / "good.png").write_bytes(buffer.getvalue())
    (pictures / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    kinds = ("good.png", "broken.png", "../../../../../../etc/passwd", "http://127.0.0.1:9/a.png", None, "gone.png")
    path, _ = items_of(run, tmp_path, image=lambda key: kinds[key % len(kinds)])
    text, page = made(run, ReportOptions(ItemOptions(path, "id", image_column="image", image_root=str(pictures))))
    reasons = set(re.findall(r'class="tile gray"[^>]*>([^<]+)<', text))
    assert reasons == {
        "no readable picture", "outside of the image root", "on the web; --fetch opens it", "no picture", "not there",
    }  # fmt: skip
    assert "root:x:0" not in text
    assert [tag for tag in page.all("span") if tag.get("class", "").startswith("tile s")]


@pytest.mark.slow
def test_a_report_of_many_pictures_keeps_its_size(run, tmp_path, monkeypatch):
    noise = {}

    def picture(key):
        if key % 50 not in noise:
            buffer = io.BytesIO()
            Image.effect_noise((96, 96), 100).convert("RGB").save(buffer, "PNG")
            noise[key % 50] = buffer.getvalue()
        return noise[key % 50]

    script = len(module.vega_script().encode())
    monkeypatch.setattr(module, "MOST_BYTES", script + module.RESERVED + 200_000)
    path, _ = items_of(run, tmp_path, image=picture)
    text, _ = made(run, ReportOptions(ItemOptions(path, "id", image_column="image")))
    assert 100_000 < sum(map(len, re.findall(r"base64,([^)]*)\)", text))) <= 200_000
    assert "left out: the report is full" in text


def test_the_command(auto_run, tmp_path):
    run, labelled = auto_run
    copy = str(tmp_path / "run")
    shutil.copytree(run, copy)
    outcome = call("report", copy, "--truth", labelled, "--previous", run, "--usd-hour", "2")
    answer = json.loads(outcome.stdout)
    assert (outcome.code, answer["report"]) == (0, f"{copy}/report.html")
    text = Store(copy).get("report.html").decode()
    assert "this run" in text
    assert "US dollars" in text
    assert "0 of 300 rows of both runs moved" in text


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--items", "items.parquet"], "--items needs --image-column or --text-column"),
        (["--text-column", "title"], "--items, which is missing"),
        (["--items", "nowhere.parquet", "--text-column", "title"], "nowhere.parquet does not exist"),
    ],
)
def test_mistakes_are_one_sentence(cosine_run, words, message):
    outcome = call("report", cosine_run, *words)
    assert outcome.code == 2
    assert message in outcome.errors[0]


def test_a_folder_without_a_run(tmp_path):
    with pytest.raises(InputError, match="no finished run"):
        report(str(tmp_path), ReportOptions())
    with pytest.raises(InputError, match="no finished run"):
        item_options(str(tmp_path), {"url": "a"})


def test_a_missing_package_is_named(cosine_run, monkeypatch):
    monkeypatch.setitem(sys.modules, "vl_convert", None)
    with pytest.raises(ConfigError, match=r"needs the package vl_convert\. .*pip install 'raycluster\[report\]'"):
        report(cosine_run, ReportOptions())

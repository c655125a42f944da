"""The local page of a review in a real browser: keys save decisions, one takes back, and the button puts them in force."""

import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from raycluster.pipeline.results import Results
from raycluster.review.server import ReviewServer
from raycluster.review.session import Session
from support.browser import chromium, complaints, resize, until

pytestmark = pytest.mark.process


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with chromium(str(tmp_path_factory.mktemp("downloads"))) as session:
        yield session


@pytest.fixture
def server(cosine_run: str, tmp_path: Path) -> Iterator[ReviewServer]:
    shutil.copytree(cosine_run, tmp_path / "run")
    with ReviewServer(Session(str(tmp_path / "run"), most=5), str(tmp_path / "next")) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def opened(browser: Any, server: ReviewServer, width: int) -> None:
    """Open the address that is printed."""
    complaints(browser)
    resize(browser, width)
    browser.get(server.address)
    until(browser, "return document.documentElement.dataset.ready === 'yes'")


def press(browser: Any, key: str) -> str:
    """Press a key and wait for the item that follows; returns its title."""
    browser.execute_script("delete document.documentElement.dataset.ready")
    browser.execute_script("document.dispatchEvent(new KeyboardEvent('keydown', {key: arguments[0]}))", key)
    until(browser, "return document.documentElement.dataset.ready === 'yes'")
    return str(browser.execute_script("return document.querySelector('#item').textContent"))


def answered(browser: Any) -> dict[str, str]:
    """How many items of each queue are answered, as the page has it."""
    labels = browser.execute_script("return [...document.querySelectorAll('#queues button')].map((b) => b.textContent)")
    return dict(label.split() for label in labels)


@pytest.mark.parametrize("width", [360, 1440])
def test_keys_save_answers_and_nothing_is_wider_than_the_screen(browser: Any, server: ReviewServer, width: int) -> None:
    opened(browser, server, width)
    assert "token" not in browser.current_url
    first = browser.execute_script("return document.querySelector('#item').textContent")
    second = press(browser, "d")
    assert second != first
    assert answered(browser)["merge"].startswith("1/")
    decisions = Path(server.session.run) / "decisions.parquet"
    assert set(pq.read_table(decisions)["same"].to_pylist()) == {False}
    assert press(browser, "z") == first
    assert answered(browser)["merge"].startswith("0/")
    assert press(browser, "n") == second
    assert browser.execute_script("return document.documentElement.scrollWidth <= window.innerWidth")
    assert complaints(browser) == []


def test_the_button_puts_an_answer_in_force_and_the_review_goes_on(browser: Any, server: ReviewServer) -> None:
    shown = server.session.item("merge", 0)
    ids = [row["id"] for _, rows in shown["groups"] for row in rows]
    opened(browser, server, 1440)
    press(browser, "s")
    browser.execute_script("delete document.documentElement.dataset.ready; document.getElementById('apply').click()")
    until(browser, "return document.documentElement.dataset.ready === 'yes'")
    assert "are in force" in browser.execute_script("return document.getElementById('message').textContent")
    labels = Results.of(server.session.run).labels(["id", "cluster_id"])
    cluster = dict(zip(map(str, labels["id"].to_pylist()), labels["cluster_id"].to_pylist(), strict=True))
    assert len({cluster[str(key)] for key in ids}) == 1
    assert complaints(browser) == []


def test_a_screen_reader_has_names_for_buttons_and_sides(browser: Any, server: ReviewServer) -> None:
    opened(browser, server, 1440)
    nameless = (
        "return [...document.querySelectorAll('button, section, nav, [role=group], [role=img]')]"
        ".filter((node) => !node.getAttribute('aria-label') && !node.textContent.trim()).length"
    )
    assert browser.execute_script(nameless) == 0


def test_an_address_without_the_token_shows_no_page(browser: Any, server: ReviewServer) -> None:
    browser.get(f"http://127.0.0.1:{server.server_port}/")
    assert "token" in browser.execute_script("return document.body.textContent")
    assert not browser.execute_script("return document.getElementById('item')")

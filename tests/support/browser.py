"""Debian's Chromium without a network, driven by Selenium; tests that need it are skipped where it is absent."""

import contextlib
import shutil
import time
from collections.abc import Iterator
from typing import Any

import pytest

ARGUMENTS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)
"""No host but this one has an address, so a page that loads anything else fails visibly."""
PATIENCE = 60.0
"""Seconds that a page may take to draw its charts on a busy machine; a quiet one takes one."""


@contextlib.contextmanager
def chromium(downloads: str) -> Iterator[Any]:
    """A browser that saves files below `downloads`."""
    browser, driver = (shutil.which(name) for name in ("chromium", "chromedriver"))
    if browser is None or driver is None:
        pytest.skip("no browser: apt-get install chromium chromium-driver")
    webdriver = pytest.importorskip("selenium.webdriver", reason="no selenium: pip install selenium")
    options = webdriver.ChromeOptions()
    for argument in ARGUMENTS:
        options.add_argument(argument)
    options.binary_location = browser
    options.add_experimental_option("prefs", {"download.default_directory": downloads})
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    session = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    try:
        yield session
    finally:
        session.quit()


def resize(session: Any, width: int, height: int = 900) -> None:
    """Show pages on a screen of this size."""
    size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
    session.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)


def until(session: Any, script: str) -> Any:
    """The first true value that a script returns."""
    began = time.monotonic()
    while not (value := session.execute_script(script)):
        assert time.monotonic() - began < PATIENCE, f"the page never came to: {script}"
        time.sleep(0.05)
    return value


def complaints(session: Any) -> list[str]:
    """Errors and warnings of the console since the last call: policies that were broken are among them."""
    return [entry["message"] for entry in session.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")]

"""Secrets of the environment and in URLs: a run, and a search of all that it printed and stored, and of its processes."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from support.runs import command

KEY, SECRET, TOKEN = "AKIAQ7ZKEYOFTHETEST", "s3cr3tOfTheTest/9QxV", "t0kenOfTheTest+77"
ENVIRONMENT = {"AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_SESSION_TOKEN": TOKEN}


def titles_of(process: int) -> set[str]:
    """Command lines of a process and of its children."""
    titles = set()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = folder.joinpath("stat").read_text().rpartition(")")[2].split()[1]
            if int(folder.name) == process or int(parent) == process:
                titles.add(folder.joinpath("cmdline").read_text().replace("\0", " "))
        except (OSError, ValueError):
            continue
    return titles


def watched(arguments: list[str], env: dict[str, str]) -> tuple[int, str, set[str]]:
    """Run a command; return its code, all that it printed, and the titles that its processes had."""
    process = subprocess.Popen(arguments, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    titles: set[str] = set()
    ended = threading.Event()

    def look() -> None:
        while not ended.wait(0.2):
            titles.update(titles_of(process.pid))

    thread = threading.Thread(target=look)
    thread.start()
    try:
        printed = process.communicate(timeout=240)[0]
    finally:
        ended.set()
        thread.join()
    return process.returncode, printed, titles


def leaks(text: str) -> list[str]:
    return [secret for secret in (KEY, SECRET, TOKEN) if secret in text]


def test_a_run_leaves_its_secrets_nowhere(identities: str, tmp_path: Path) -> None:
    arguments = command(identities, str(tmp_path / "run"), "--executor", "local", "--shards", "2")
    code, printed, titles = watched(arguments, {**os.environ, **ENVIRONMENT})
    assert code == 0, printed
    assert titles
    assert leaks(printed + "".join(titles)) == []
    stored = [path for path in (tmp_path / "run").rglob("*") if path.is_file()]
    assert {"MANIFEST.json", "plan.json"} <= {path.name for path in stored}
    assert [path for path in stored if leaks(path.read_bytes().decode("latin-1"))] == []


@pytest.mark.parametrize("place", ["input", "output", "endpoint"])
def test_keys_in_a_url_are_refused_and_not_repeated(identities: str, tmp_path: Path, place: str) -> None:
    url = f"s3://{KEY}:{SECRET}@bucket/run"
    env = {**os.environ, **ENVIRONMENT}
    if place == "endpoint":
        env |= {"AWS_ENDPOINT_URL": f"http://{KEY}:{SECRET}@127.0.0.1:9"}
        url = "s3://bucket/run"
    inputs = (url, str(tmp_path / "run")) if place == "input" else (identities, url)
    done = subprocess.run(
        command(*inputs, "--executor", "local"), env=env, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode != 0
    assert done.stderr.splitlines()[-1].startswith("error: ")
    assert "***" in done.stderr
    assert leaks(done.stdout + done.stderr) == []
    assert not (tmp_path / "run").exists()


def test_python_shows_no_secret_in_a_traceback_of_ours() -> None:
    program = f"from raycluster.storage.object_store import Store; Store('s3://{KEY}:{SECRET}@bucket')"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert "InputError" in done.stderr
    assert leaks(done.stderr.partition("raycluster.errors.InputError")[2]) == []

"""The image's steps, as far as they go without a registry of images: files, shell, versions, and the installation itself."""

import re
import subprocess
import sys
import tempfile
import tomllib
import venv
import zipfile
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

import pytest

from support.paths import ROOT

INSTALL = ROOT / "deploy" / "install"
DOCKERFILE = (ROOT / "deploy" / "Dockerfile").read_text()
PINNED = dict(line.split("==") for line in (ROOT / "constraints.txt").read_text().split())


def instructions(name: str) -> list[str]:
    """Return the arguments of one kind of instruction, lines joined."""
    lines = re.sub(r"^\s*#.*\n", "", DOCKERFILE, flags=re.M).replace("\\\n", " ").splitlines()
    return [line.split(maxsplit=1)[1] for line in lines if line.startswith(f"{name} ")]


def install(python: Path | str, *arguments: str) -> str:
    """Run the script; returns what it printed."""
    done = subprocess.run([INSTALL, str(python), *arguments], capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def environment() -> Iterator[Path]:
    """The interpreter of an environment with pip alone."""
    with tempfile.TemporaryDirectory() as place:
        venv.create(place, with_pip=True)
        yield Path(place) / "bin" / "python"


def test_what_the_image_copies_is_there_and_not_ignored() -> None:
    ignored = (ROOT / ".dockerignore").read_text().split()
    copied = [name for line in instructions("COPY") for name in line.split()[:-1]]
    assert {"constraints.txt", "pyproject.toml", "raycluster", "deploy/install"} <= set(copied)
    for name in copied:
        assert (ROOT / name).exists(), name
        assert not [pattern for pattern in ignored if fnmatch(name, pattern)], name


def test_both_targets_run_the_script_and_the_shell_is_valid() -> None:
    assert [line.split(" AS ")[1] for line in instructions("FROM")] == ["base", "cpu", "gpu"]
    steps = instructions("RUN")
    for extra in ("cpu", "gpu"):
        assert sum(step.startswith("deploy/install ") and step.endswith(f" {extra}") for step in steps) == 1
    for step in [*steps, INSTALL.read_text()]:
        subprocess.run(["bash", "-n", "-c", step], check=True)


def test_the_image_has_the_python_of_these_tests() -> None:
    assert f"python:{sys.version_info.major}.{sys.version_info.minor}-" in instructions("FROM")[0]


@pytest.mark.timeout(300)
@pytest.mark.long
def test_the_gpu_image_resolves_to_the_pinned_versions(environment: Path) -> None:
    printed = install(environment, "gpu", "--dry-run", "--quiet", "--report", "-")
    versions = dict(re.findall(r'"metadata": \{.*?"name": "([^"]+)",\s+"version": "([^"]+)"', printed, flags=re.S))
    names = {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in versions.items()}
    pinned = {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in PINNED.items()}
    for name in ("raycluster", "ray", "numpy", "faiss-gpu", "pyarrow", "numba", "boto3"):
        assert name in names
    assert {name: version for name, version in names.items() if pinned.get(name, version) != version} == {}
    assert names["torch"].partition("+")[0] == "2.13.0"


def test_the_package_is_installed_from_the_checkout(environment: Path) -> None:
    install(environment, "cpu", "--no-deps", "--dry-run", "--quiet")  # torch and boto3 exist
    site = subprocess.run(
        [environment, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", environment.parent, ROOT],
        capture_output=True, text=True, timeout=200, check=False,
    )  # fmt: skip
    assert site.returncode == 0, site.stderr
    with zipfile.ZipFile(next(environment.parent.glob("raycluster-*.whl"))) as wheel:
        assert "raycluster/models/pretrained/auto/predictor.safetensors" in wheel.namelist()


def test_another_extra_is_refused(environment: Path) -> None:
    refused = subprocess.run([INSTALL, environment, "tpu"], capture_output=True, text=True, timeout=60, check=False)
    assert refused.returncode == 2
    assert "must be cpu or gpu" in refused.stderr


def test_the_small_installation_lists_what_the_package_depends_on_without_torch_and_ray() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = {re.split(r"[\[>=]", line)[0] for line in project["dependencies"]} - {"ray", "torch"} | {"faiss-cpu"}
    line = re.search(r"^pip install (faiss-cpu .*)$", (ROOT / "docs" / "index.md").read_text(), re.M)
    assert line is not None
    assert set(line[1].split()) == wanted

"""What all tests share: their threads, their marks, a small set of synthetic identities, and where the real sets are."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import numba
import pytest
from hypothesis import HealthCheck, settings

import raycluster.kernels  # noqa: F401  chooses numba's pool
from raycluster.synthetic.generator import SyntheticConfig, write_parquet
from support.numba_cache import drop_stale
from support.paths import ROOT, ROWS
from support.processes import process_starters
from support.sharing import RAY, Sharing, group_of

# Read when torch and faiss are loaded, here and in jobs that tests start: what is small is slower on many threads, and
# threads that spin while they wait slow a busy machine down.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

# Read when Ray is first imported and when its processes start; the first two as raycluster.executors.ray_data sets them.
os.environ.setdefault("RAY_AUTH_MODE", "token")
os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
os.environ.setdefault("RAY_TRAIN_HEALTH_CHECK_INTERVAL_S", "0.1")

# numba's own pool, which the package uses, takes 0.1 ms of the processor for every kernel of many threads, 0.3 ms on a busy
# machine, and OpenMP's takes 1 to 20 us. It would kill a forked child, but tests fork none. Processes that they start, and
# Ray's, have the package's pool.
if sys.platform == "linux" and "NUMBA_THREADING_LAYER" not in os.environ:
    numba.config.THREADING_LAYER = "omp"

# A busy machine makes an example slow.
settings.register_profile("tests", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("tests")


def pytest_configure(config: pytest.Config) -> None:
    """Begin with a cache of kernels that fits their sources; workers of xdist share what their head has checked."""
    if not hasattr(config, "workerinput"):
        drop_stale()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests that start a process, and begin with the groups that take longest: Ray, other processes, whole models."""
    for item in items:
        used = {item.originalname, *item.fixturenames} if isinstance(item, pytest.Function) else set()
        if used & process_starters(item.path, "subprocess", "ray"):
            item.add_marker("process")
    weights: dict[str, list[int]] = {}
    for item in items:
        marks = [item.get_closest_marker(name) is not None for name in ("process", "slow")]
        own = [int(is_marked) for is_marked in (group_of(item.nodeid) == RAY, *marks)]
        before = weights.get(group_of(item.nodeid), [0, 0, 0, 0])
        weights[group_of(item.nodeid)] = [*map(max, own, before), before[-1] + 1]
    items.sort(key=lambda item: weights[group_of(item.nodeid)], reverse=True)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Keep the tests of a file in one process of xdist, and the order of collection, whatever its options."""
    config.option.loadscopereorder = False
    return Sharing(config, log)


def pytest_sessionfinish() -> None:
    """Tests on Ray share one cluster of this process; stop it."""
    if (ray := sys.modules.get("ray")) is not None:
        ray.shutdown()


@pytest.fixture(scope="session")
def identities(tmp_path_factory: pytest.TempPathFactory) -> str:
    """2,500 rows of width 48 in two files."""
    folder = tmp_path_factory.mktemp("identities")
    config = SyntheticConfig(rows=ROWS, width=48, effective_dimension=48, mean_size=6, max_size=60, same_cosine=0.85)
    write_parquet(config, str(folder), rows_per_file=1500)
    return str(folder)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of the real embedding sets; tests that need it are skipped where it is absent."""
    folder = Path(os.environ.get("RAYCLUSTER_DATA", ROOT.parent / "shared" / "data"))
    if not (folder / "lfw_test.parquet").exists():
        pytest.skip(f"the real embedding sets are not in {folder}; set RAYCLUSTER_DATA")
    return folder


@pytest.fixture(scope="session", autouse=True)
def _no_wait_for_the_disk() -> Iterator[None]:
    """What tests write in this process reaches the disk later: no power fails, and a small run would wait 54 times 4 ms."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)
        yield


@pytest.fixture(autouse=True)
def _threads() -> None:
    """Every test begins with one thread of torch and all of numba's, whatever another has set."""
    if (torch := sys.modules.get("torch")) is not None:
        torch.set_num_threads(1)
    numba.set_num_threads(numba.config.NUMBA_NUM_THREADS)


@pytest.fixture(autouse=True)
def _no_process(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A test that starts a process without being marked for it fails: `make test-fast` relies on the marks."""
    if request.node.get_closest_marker("process") is None:
        monkeypatch.setattr(subprocess, "Popen", _refused)


def _refused(command: Any, *_: Any, **__: Any) -> NoReturn:
    pytest.fail(f"{command} is a process of its own; mark the test with pytest.mark.process")

"""Markers: one counts per task, a finished stage is read by one request, and a damaged marker is no marker."""

from pathlib import Path

import pytest

from raycluster.errors import DamagedError
from raycluster.storage.markers import CONNECTIONS, Markers
from raycluster.storage.object_store import Store
from raycluster.storage.records import Marker

FOLDER = "stages/knn/0"


def markers(folder: Path) -> Markers:
    """Markers as a process that starts sees them."""
    return Markers(Store(str(folder)), {"knn": FOLDER})


def marker(task: int, attempt: str = "a") -> Marker:
    """A marker of a task without a part."""
    return Marker(f"{FOLDER}/part-{task:05d}-{attempt}.parquet", 1, "00", [], {"task": task})


def test_the_first_claim_counts(tmp_path: Path) -> None:
    assert markers(tmp_path).claim("knn", 0, marker(0)) == marker(0)
    assert markers(tmp_path).claim("knn", 0, marker(0, "b")) == marker(0)
    assert markers(tmp_path).of("knn", 0) == marker(0)
    assert markers(tmp_path).finished("knn") == {0}


def test_a_damaged_marker_is_claimed_anew(tmp_path: Path) -> None:
    markers(tmp_path).claim("knn", 0, marker(0))
    Store(str(tmp_path)).put(f"{FOLDER}/done/00000.json", b"{}")
    assert markers(tmp_path).claim("knn", 0, marker(0, "b")) == marker(0, "b")


@pytest.mark.parametrize("data", [None, b"", b"{}"], ids=["missing", "empty", "edited"])
def test_a_marker_that_is_missing_or_damaged_is_no_marker(tmp_path: Path, data: bytes | None) -> None:
    markers(tmp_path).claim("knn", 0, marker(0))
    path, store = f"{FOLDER}/done/00000.json", Store(str(tmp_path))
    store.delete(path) if data is None else store.put(path, data)
    with pytest.raises(DamagedError, match="is missing" if data is None else "was changed or damaged"):
        markers(tmp_path).of("knn", 0)
    assert markers(tmp_path).finished("knn") == set()


def test_a_finished_stage_is_read_by_one_request(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = markers(tmp_path)
    for task in range(50):
        writer.claim("knn", task, marker(task))
    markers(tmp_path).complete("knn", 50)
    requests: list[str] = []
    get = Store.get
    monkeypatch.setattr(Store, "get", lambda self, path: requests.append(path) or get(self, path))
    monkeypatch.setattr(Store, "files", lambda *_: pytest.fail("the index names all tasks"))
    reader = markers(tmp_path)
    assert reader.finished("knn") == set(range(50))
    assert [reader.of("knn", task).facts["task"] for task in range(50)] == list(range(50))
    reader.complete("knn", 50)
    assert requests == [f"{FOLDER}/markers.json"]


LATENCY = 0.03
"""Seconds of one simulated request: S3 from within its region, first byte included."""
SHARDS = 10_000


@pytest.mark.slow
def test_ten_thousand_shards_are_read_by_an_index_and_a_driver_fetches_no_marker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Storage is simulated: objects in memory, and every request counts and takes 30 ms."""
    objects: dict[str, bytes] = {}
    requests: list[str] = []

    def get(_: Store, path: str) -> bytes | None:
        requests.append(f"GET {path}")
        return objects.get(path)

    def create(_: Store, path: str, data: bytes) -> bool:
        requests.append(f"PUT {path}")
        return objects.setdefault(path, data) is data

    def put(_: Store, path: str, data: bytes) -> None:
        requests.append(f"PUT {path}")
        objects[path] = data

    def files(_: Store, path: str) -> list[str]:
        names = sorted(name for name in objects if name.startswith(f"{path}/"))
        requests.extend(f"LIST {path}" for _ in range(-(-len(names) // 1000)))
        return names

    for name, function in {"get": get, "create": create, "put": put, "files": files}.items():
        monkeypatch.setattr(Store, name, function)
    worker, driver = markers(tmp_path), markers(tmp_path)
    for task in range(SHARDS):
        worker.claim("knn", task, marker(task))
        driver.take("knn", task, worker.record("knn", task))
    assert len(requests) == SHARDS, "a worker puts one marker per shard, and reads none"
    requests.clear()
    driver.complete("knn", SHARDS)
    assert requests == [f"GET {FOLDER}/markers.json", f"PUT {FOLDER}/markers.json"]
    requests.clear()
    reader = markers(tmp_path)
    assert [reader.of("knn", task).facts["task"] for task in range(SHARDS)] == list(range(SHARDS))
    assert reader.finished("knn") == set(range(SHARDS))
    print(
        f"a reader of {SHARDS} markers: {len(requests)} request, {len(requests) * LATENCY:.2f} s in place of ", end=""
    )
    print(
        f"{SHARDS * LATENCY:.0f} s; the index has {len(objects[f'{FOLDER}/markers.json']) / SHARDS:.0f} bytes per shard"
    )
    assert requests == [f"GET {FOLDER}/markers.json"]
    # A driver that died before the index: what is left to do follows from one listing; each marker is fetched once, ever.
    del objects[f"{FOLDER}/markers.json"]
    requests.clear()
    resumed = markers(tmp_path)
    assert resumed.finished("knn") == set(range(SHARDS))
    assert requests.count(f"LIST {FOLDER}/done") == 10
    assert len(requests) <= 12
    resumed.complete("knn", SHARDS)
    seconds = LATENCY * SHARDS / CONNECTIONS
    print(
        f"a driver that resumes without an index: {len(requests):,} requests, {seconds:.0f} s on {CONNECTIONS} connections"
    )
    assert sum(name.startswith("GET") for name in requests) <= SHARDS + 4
    assert f"{FOLDER}/markers.json" in objects


def test_a_stage_that_lacks_a_marker_is_not_complete(tmp_path: Path) -> None:
    for task in (0, 2):
        markers(tmp_path).claim("knn", task, marker(task))
    with pytest.raises(DamagedError, match=r"done/00001\.json is missing"):
        markers(tmp_path).complete("knn", 3)
    assert markers(tmp_path).finished("knn") == {0, 2}


def test_a_damaged_index_is_made_again(tmp_path: Path) -> None:
    for task in range(3):
        markers(tmp_path).claim("knn", task, marker(task))
    markers(tmp_path).complete("knn", 3)
    path, store = f"{FOLDER}/markers.json", Store(str(tmp_path))
    right = store.get(path) or b""
    store.put(path, right.replace(b'"task": 2', b'"task": 1'))
    reader = markers(tmp_path)
    assert reader.of("knn", 2) == marker(2)
    assert reader.finished("knn") == {0, 1, 2}
    reader.complete("knn", 3)
    assert store.get(path) == right


def test_a_dropped_marker_goes_with_its_part_and_the_index(tmp_path: Path) -> None:
    for task in range(3):
        markers(tmp_path).claim("knn", task, marker(task))
    store = Store(str(tmp_path))
    store.put(marker(1).key, b"part")
    markers(tmp_path).complete("knn", 3)
    reader = markers(tmp_path)
    assert reader.of("knn", 1) == marker(1)
    reader.drop("knn", 1)
    assert reader.finished("knn") == markers(tmp_path).finished("knn") == {0, 2}
    assert store.files() == [f"{FOLDER}/done/00000.json", f"{FOLDER}/done/00002.json"]


def test_a_marker_is_read_anew_where_the_index_is_of_before(tmp_path: Path) -> None:
    for task in range(2):
        markers(tmp_path).claim("knn", task, marker(task))
    markers(tmp_path).complete("knn", 2)
    reader = markers(tmp_path)
    assert reader.of("knn", 1) == marker(1)
    store = Store(str(tmp_path))
    store.delete(f"{FOLDER}/done/00001.json")
    markers(tmp_path).claim("knn", 1, marker(1, "b"))
    assert reader.refresh("knn", 1) == marker(1, "b")

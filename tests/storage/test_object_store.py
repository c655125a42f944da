"""Storage: one put an object, at most one creator, and a clear sentence for whatever fails. On disk and on S3."""

import errno
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import s3fs
from moto.server import ThreadedMotoServer

from raycluster.errors import DamagedError, InputError, RayclusterError, StorageError
from raycluster.storage import local_disk
from raycluster.storage.object_store import Store
from raycluster.storage.records import encode
from support.servers import S3Server, seaweed_s3

SECRET = "a-very-secret-key"


@pytest.fixture(scope="module")
def moto() -> Iterator[S3Server]:
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    view = S3Server(f"http://{host}:{port}", "test-key", SECRET, "moto-bucket")
    view.filesystem().mkdir(view.bucket)
    yield view
    server.stop()


@pytest.fixture(scope="module")
def seaweed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with seaweed_s3(tmp_path_factory.mktemp("seaweed")) as server:
        yield server


def sign_in(monkeypatch: pytest.MonkeyPatch, server: S3Server, *without: str, **changes: str) -> None:
    """Point new clients of this process at `server`, with variables changed or `without` some."""
    settings = {name: value for name, value in {**server.env, **changes}.items() if name not in without}
    for name in server.env:
        monkeypatch.delenv(name, raising=False)
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    if settings != _signed_in:  # s3fs keeps a client, whatever becomes of the environment
        s3fs.S3FileSystem.clear_instance_cache()
        _signed_in.clear()
        _signed_in.update(settings)


_signed_in: dict[str, str] = {}


@pytest.fixture(scope="module", autouse=True)
def _no_client_left_behind() -> Iterator[None]:
    yield
    s3fs.S3FileSystem.clear_instance_cache()


@pytest.fixture(params=["local", "moto"])
def store(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """An empty store on disk or on S3."""
    if request.param == "local":
        return Store(str(tmp_path / "run"))
    server = request.getfixturevalue("moto")
    sign_in(monkeypatch, server)
    return Store(f"s3://{server.bucket}/{tmp_path.name}")


@pytest.fixture
def local(tmp_path: Path) -> Store:
    return Store(str(tmp_path / "run"))


def numbers(first: int, rows: int = 3) -> pa.Table:
    vectors = pa.array([[float(row), 1.0] for row in range(first, first + rows)], pa.list_(pa.float32(), 2))
    return pa.table({"row": pa.array(range(first, first + rows), pa.int32()), "embedding": vectors})


def sentence(action: Callable[[], Any], kind: type[RayclusterError]) -> str:
    """What the user is told; one line, without a secret."""
    with pytest.raises(kind) as caught:
        action()
    said = str(caught.value)
    assert said.endswith(".")
    assert "\n" not in said
    assert SECRET not in said
    return said


def test_what_was_put_is_got_and_a_second_put_replaces_it(store: Store) -> None:
    assert store.get("a/b.json") is None
    store.put("a/b.json", b"one")
    assert store.get("a/b.json") == b"one"
    store.put("a/b.json", b"two")
    assert store.get("a/b.json") == b"two"


def test_an_object_is_created_once_only(store: Store) -> None:
    assert store.create("done/0.json", b"mine")
    assert not store.create("done/0.json", b"yours")
    assert store.get("done/0.json") == b"mine"


def test_a_race_to_create_has_exactly_one_winner(store: Store) -> None:
    won: list[int] = []
    start = threading.Barrier(8)

    def claim(number: int) -> None:
        start.wait()
        if store.create("done/0.json", f"attempt {number}".encode()):
            won.append(number)

    threads = [threading.Thread(target=claim, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
    assert store.get("done/0.json") == f"attempt {won[0]}".encode()
    assert store.files() == ["done/0.json"]


@pytest.mark.parametrize("refusal", [FileExistsError("exists"), OSError(errno.EINVAL, "precondition failed")])
def test_a_create_whose_reply_was_lost_and_was_repeated_by_the_client_still_counts(
    moto: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refusal: OSError
) -> None:
    sign_in(monkeypatch, moto)
    store = Store(f"s3://{moto.bucket}/{tmp_path.name}")
    put = store._fs.pipe_file

    def put_then_refuse(path: str, data: bytes, mode: str) -> None:
        put(path, data, mode=mode)
        raise refusal

    monkeypatch.setattr(store._fs, "pipe_file", put_then_refuse)
    assert store.create("plan.json", b"mine")
    monkeypatch.setattr(store._fs, "pipe_file", put)
    assert not store.create("plan.json", b"another's")


def test_delete_takes_one_object_by_its_exact_name_or_all_below_a_folder(store: Store) -> None:
    for name in ("stages/knn/a", "stages/knn/deep/b", "stages/edges/c", "plan.json"):
        store.put(name, b"x")
    store.delete("plan.json")
    store.delete_below("stages/knn")
    store.delete("never/was")
    assert store.files() == ["stages/edges/c"]


def test_files_are_sorted_and_relative_and_those_below_a_missing_folder_are_none(store: Store) -> None:
    for name in ("b/2", "a", "b/1"):
        store.put(name, b"x")
    assert store.files() == ["a", "b/1", "b/2"]
    assert store.files("b") == ["b/1", "b/2"]
    assert store.files("c") == []
    assert store.files("a/below-a-file") == []


def test_a_copy_has_the_same_bytes_and_can_be_made_again_without_a_trace(store: Store) -> None:
    store.put("stages/part", b"labels")
    store.copy("stages/part", "labels/part")
    store.copy("stages/part", "labels/part")
    assert store.get("labels/part") == b"labels"
    assert store.files() == ["labels/part", "stages/part"]


def test_the_store_knows_an_object_from_a_folder(store: Store) -> None:
    store.put("folder/file", b"x")
    assert Store(f"{store.url}/folder/file").is_file()
    assert not Store(f"{store.url}/folder").is_file()
    assert not Store(f"{store.url}/absent").is_file()


def test_the_identity_changes_with_the_content_and_only_then(store: Store) -> None:
    store.put("in.parquet", b"12345678")
    before = store.identity("in.parquet")
    assert store.identity("in.parquet") == before
    assert (before["path"], before["size"]) == ("in.parquet", 8)
    store.put("in.parquet", b"87654321")
    assert store.identity("in.parquet") != before


def test_a_slash_at_the_end_of_the_url_makes_no_difference(store: Store) -> None:
    store.put("a", b"x")
    assert Store(f"{store.url}/").files() == ["a"]
    assert Store(f"{store.url}/").name("a") == store.name("a")


def test_tables_come_back_whole_and_by_column(store: Store) -> None:
    digest = store.put_tables("part", [numbers(0), numbers(3, 2)])
    whole = store.get_table("part", digest)
    assert whole["row"].to_pylist() == [0, 1, 2, 3, 4]
    assert store.get_table("part", digest, ["row"]).column_names == ["row"]
    assert store.get_table("part", digest, ["embedding"])["embedding"].to_pylist()[2] == [2.0, 1.0]


def test_a_range_of_an_object_is_read(store: Store) -> None:
    store.put("object", b"0123456789")
    assert store.get_range("object", 2, 5) == b"234"
    assert store.get_range("object", 8, 12) == b"89"
    assert store.get_range("missing", 0, 1) is None


def test_a_record_is_read_and_a_damaged_one_is_asked_for_once_more(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.put("record", encode({"starts": [0, 9]}))
    assert store.record("record", dict[str, list[int]]) == {"starts": [0, 9]}
    assert store.record("missing", dict[str, int]) is None
    replies, get = [b"{}", store.get("record")], store.get
    monkeypatch.setattr(store, "get", lambda _: replies.pop(0))
    assert store.record("record", dict[str, list[int]]) == {"starts": [0, 9]}
    monkeypatch.setattr(store, "get", get)
    store.put("record", b'{"starts": [0, 9]}')
    assert "record was changed or damaged" in sentence(lambda: store.record("record", dict[str, Any]), DamagedError)


def test_an_empty_table_comes_back_with_its_schema(store: Store) -> None:
    digest = store.put_tables("part", [numbers(0, 0)])
    assert store.get_table("part", digest).schema.names == ["row", "embedding"]
    assert len(store.get_table("part", digest)) == 0


def test_the_same_tables_have_the_same_digest_and_others_another(local: Store) -> None:
    assert local.put_tables("a", [numbers(0)]) == local.put_tables("b", [numbers(0)])
    assert local.put_tables("a", [numbers(0)]) != local.put_tables("b", [numbers(1)])


@pytest.mark.parametrize("position", [0, 4, 100, -1])
def test_one_changed_byte_anywhere_in_a_table_is_noticed(store: Store, position: int) -> None:
    digest = store.put_tables("part", [numbers(0)])
    data = bytearray(store.get("part") or b"")
    data[position] ^= 1
    store.put("part", bytes(data))
    said = sentence(lambda: store.get_table("part", digest), StorageError)
    assert said.startswith(f"{store.url}/part was changed or damaged")


def test_a_table_that_is_gone_is_named(store: Store) -> None:
    assert f"{store.url}/part is missing" in sentence(lambda: store.get_table("part", "0"), StorageError)
    assert f"{store.url}/part was not found" in sentence(lambda: store.identity("part"), StorageError)
    assert f"{store.url}/part was not found" in sentence(lambda: store.copy("part", "other"), StorageError)


def open_parquet(store: Store, path: str) -> Any:
    with store.parquet(path) as file:
        return file.read()


def test_a_whole_parquet_file_is_read(store: Store) -> None:
    store.put_tables("in.parquet", [numbers(0)])
    assert len(open_parquet(store, "in.parquet")) == 3


@pytest.mark.parametrize("kept", [0, 3, 20, -1, -9])
def test_a_parquet_file_cut_short_is_a_mistake_in_the_input(store: Store, kept: int) -> None:
    store.put_tables("in.parquet", [numbers(0)])
    store.put("in.parquet", (store.get("in.parquet") or b"")[:kept])
    said = sentence(lambda: open_parquet(store, "in.parquet"), InputError)
    assert said.startswith(f"{store.url}/in.parquet is no readable Parquet file: ")


def test_damage_inside_a_parquet_file_is_a_mistake_in_the_input(local: Store) -> None:
    pq.write_table(numbers(0, 5000), f"{local.url}.parquet", compression="zstd")
    data = bytearray(Path(f"{local.url}.parquet").read_bytes())
    data[40:4000] = bytes(3960)
    local.put("in.parquet", bytes(data))
    said = sentence(lambda: open_parquet(local, "in.parquet"), InputError)
    assert f"{local.url}/in.parquet is no readable Parquet file" in said


def test_a_failure_of_storage_while_a_parquet_file_is_read_is_not_blamed_on_the_file(local: Store) -> None:
    local.put_tables("in.parquet", [numbers(0)])

    def read() -> None:
        with local.parquet("in.parquet"):
            raise OSError(errno.EIO, "the disk is dying")

    assert "Storage failed at" in sentence(read, StorageError)


def full(*_: Any, **__: Any) -> int:
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("write", [lambda store: store.put("a", b"x"), lambda store: store.create("a", b"x")])
def test_a_full_disk_is_said_by_name_and_leaves_nothing_behind(
    local: Store, monkeypatch: pytest.MonkeyPatch, write: Callable[[Store], Any]
) -> None:
    local.put("other", b"x")
    monkeypatch.setattr(os, "fsync", full)
    said = sentence(lambda: write(local), StorageError)
    assert said == f"The disk is full at {local.url}/a; free space and run the same command."
    assert local.files() == ["other"]


def test_a_folder_without_permission_is_named(local: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(os, "fsync", refuse)
    assert f"Storage refused access to {local.url}/a" in sentence(lambda: local.put("a", b"x"), StorageError)


@pytest.mark.parametrize("below", ["", "/deeper/still"])
@pytest.mark.parametrize(
    "action",
    [
        lambda store: store.put("a", b"x"),
        lambda store: store.create("a", b"x"),
        lambda store: store.get("a"),
        lambda store: store.put_tables("a", [numbers(0)]),
    ],
)
def test_a_file_where_a_folder_should_be_is_the_users_mistake(
    tmp_path: Path, below: str, action: Callable[[Store], Any]
) -> None:
    (tmp_path / "file").write_text("precious")
    store = Store(f"{tmp_path}/file{below}")
    assert "a file is where a folder should be" in sentence(lambda: action(store), InputError)
    assert (tmp_path / "file").read_text() == "precious"


@pytest.mark.parametrize("url", ["", "   "])
def test_an_empty_url_is_refused_instead_of_meaning_the_working_folder(url: str) -> None:
    assert sentence(lambda: Store(url), InputError) == "A path or URL is empty."


def test_an_unknown_protocol_is_named() -> None:
    assert "nosuch://bucket/run cannot be opened" in sentence(lambda: Store("nosuch://bucket/run"), InputError)


ACTIONS = [
    lambda store: store.put("a", b"x"),
    lambda store: store.create("a", b"x"),
    lambda store: store.files(),
    lambda store: store.get("a"),
]


@pytest.mark.parametrize("action", ACTIONS)
def test_wrong_credentials_are_refused_in_one_sentence(
    seaweed: S3Server, monkeypatch: pytest.MonkeyPatch, action: Callable[[Store], Any]
) -> None:
    sign_in(monkeypatch, seaweed, AWS_SECRET_ACCESS_KEY=SECRET)
    store = Store(f"s3://{seaweed.bucket}/run")
    said = sentence(lambda: action(store), StorageError)
    assert said.startswith(f"Storage refused access to s3://{seaweed.bucket}/run")
    assert "credentials" in said
    assert seaweed.secret_key not in said


@pytest.mark.parametrize("action", ACTIONS)
def test_credentials_that_are_nowhere_are_missed_in_one_sentence(
    moto: S3Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, action: Callable[[Store], Any]
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    sign_in(monkeypatch, moto, "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
    store = Store(f"s3://{moto.bucket}/run")
    said = sentence(lambda: action(store), StorageError)
    assert "Unable to locate credentials" in said


@pytest.mark.slow
@pytest.mark.parametrize("action", ACTIONS[:2])
def test_a_bucket_that_is_not_there_is_named_on_writing(
    moto: S3Server, monkeypatch: pytest.MonkeyPatch, action: Callable[[Store], Any]
) -> None:
    sign_in(monkeypatch, moto)
    said = sentence(lambda: action(Store("s3://no-such-bucket/run")), StorageError)
    assert said == "s3://no-such-bucket/run/a was not found: The specified bucket does not exist."


def test_a_bucket_that_is_not_there_reads_as_empty(moto: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    sign_in(monkeypatch, moto)
    store = Store("s3://no-such-bucket/run")
    assert store.get("a") is None
    assert store.files() == []


def test_a_real_s3_server_lets_exactly_one_of_many_create(
    seaweed: S3Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    sign_in(monkeypatch, seaweed)
    test_a_race_to_create_has_exactly_one_winner(Store(f"s3://{seaweed.bucket}/{tmp_path.name}"))


@pytest.mark.parametrize("spelled", ["run[1]", "a*b", "what?", "with space", "a::b"])
def test_names_are_never_patterns(tmp_path: Path, spelled: str) -> None:
    ours, other = Store(str(tmp_path / spelled)), Store(str(tmp_path / "run1"))
    for store in (ours, other):
        store.put("labels/a", b"x")
        store.put("plan.json", b"y")
    ours.delete("plan.json")
    ours.delete_below("labels")
    assert other.files() == ["labels/a", "plan.json"]
    assert ours.files() == []


@pytest.mark.parametrize("refusal", [errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS])
def test_a_disk_without_hard_links_still_creates_once_and_copies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refusal: int
) -> None:
    def link(*_: Any, **__: Any) -> None:
        raise OSError(refusal, "no hard links")

    monkeypatch.setattr(os, "link", link)
    store = Store(str(tmp_path))
    assert store.create("done/0.json", b"first")
    assert not store.create("done/0.json", b"second")
    assert store.get("done/0.json") == b"first"
    store.copy("done/0.json", "labels/0.json")
    assert store.get("labels/0.json") == b"first"
    monkeypatch.setattr(local_disk, "CLAIM_SECONDS", 0.05)
    (tmp_path / "done" / "1.json").touch()  # a claim whose process died
    assert store.create("done/1.json", b"third")
    assert store.get("done/1.json") == b"third"
    assert store.files() == ["done/0.json", "done/1.json", "labels/0.json"]


def test_free_bytes_are_those_of_the_disk_that_a_folder_will_be_on(tmp_path: Path) -> None:
    free = Store(str(tmp_path / "not" / "there")).free_bytes
    assert free == pytest.approx(shutil.disk_usage(tmp_path).free, rel=0.1)
    assert not (tmp_path / "not").exists()
    assert Store("s3://bucket/run").free_bytes is None


def test_a_folder_whose_objects_are_gone_has_no_files(store: Store) -> None:
    inner = Store(f"{store.url}/inner")
    inner.put("mark", b"x")
    inner.delete("mark")
    assert inner.files() == []
    assert [name for name in store.files() if name.startswith("inner")] in ([], ["inner"])

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from raycluster.errors import InputError
from raycluster.storage import feature_import as importers
from raycluster.storage import schemas
from raycluster.storage.feature_import import import_features
from raycluster.synthetic.generator import SyntheticConfig, generate
from support.paths import ROOT

ROWS, WIDTH, K = 600, 32, 12


@pytest.fixture(scope="module")
def faces():
    """Features that are not normalized, labels, and the exact kNN lists with the row itself first."""
    _, embeddings, labels = next(generate(SyntheticConfig(rows=ROWS, width=WIDTH)))
    cosine = embeddings @ embeddings.T
    np.fill_diagonal(cosine, 2)
    ids = np.argsort(-cosine, axis=1, kind="stable")[:, :K].astype(np.int32)
    similarity = np.take_along_axis(cosine, ids, axis=1)
    similarity[:, 0] = 1
    scale = np.random.default_rng(0).uniform(0.5, 20, (ROWS, 1)).astype(np.float32)
    return embeddings * scale, labels, ids, similarity


@pytest.fixture
def load(tmp_path, faces):
    """Import features with what is given, check the summary's files; returns the summary and the two tables."""
    features, _, _, _ = faces
    features.tofile(tmp_path / "X.bin")

    def run(**settings):
        defaults = {"features": str(tmp_path / "X.bin"), "width": WIDTH, "output": str(tmp_path / "out")}
        values = defaults | {key: str(v) if isinstance(v, Path) else v for key, v in settings.items()}
        summary = import_features(**values)
        output = Path(values["output"])
        assert json.loads((output / "import.json").read_text()) == summary
        found = {str(path.relative_to(output)) for path in output.rglob("*") if path.is_file()}
        assert found == {*summary["files"], "import.json"}
        knn = pq.read_table(output / "knn") if summary["knn"] else None
        return summary, pq.read_table(output / "embeddings"), knn

    return run


def lists_of(table):
    return schemas.to_matrix(table["neighbor"]), schemas.to_matrix(table["similarity"])


def check_lists(knn, ids, similarity):
    """The table is the exact lists: self first, descending, ties by id."""
    assert np.array_equal(knn["row"].to_numpy(), np.arange(ROWS))
    neighbor, found = lists_of(knn)
    assert np.array_equal(neighbor, ids)
    np.testing.assert_allclose(found, similarity, atol=2e-6)
    assert (found[:, 0] == 1).all()
    assert (np.diff(found, axis=1) <= 0).all()


@pytest.mark.parametrize("kind", ["bin", "npy", "fortran", "float64", "float16"])
def test_features(load, tmp_path, faces, kind):
    features = faces[0]
    if kind != "bin":
        stored = np.asfortranarray(features) if kind == "fortran" else features
        stored = stored.astype(kind) if kind.startswith("float") else stored
        np.save(tmp_path / "X.npy", stored)
    settings = {} if kind == "bin" else {"features": tmp_path / "X.npy", "width": None}
    summary, table, knn = load(**settings)
    assert knn is None
    assert summary == {
        "rows": ROWS,
        "width": WIDTH,
        "labeled": False,
        "identities": None,
        "knn": None,
        "files": ["embeddings/part-00000.parquet"],
    }
    element = pa.field("element", pa.float32(), nullable=False)
    assert table.schema.equals(pa.schema([("id", pa.int64()), ("embedding", pa.list_(element, WIDTH))]))
    assert np.array_equal(table["id"].to_numpy(), np.arange(ROWS))
    expected = features.astype(np.float16).astype(np.float32) if kind == "float16" else features
    assert np.array_equal(schemas.to_matrix(table["embedding"]), expected)


@pytest.mark.parametrize("kind", ["meta", "npy"])
def test_labels(load, tmp_path, faces, kind):
    labels = faces[1]
    path = tmp_path / f"X.{kind}"
    if kind == "meta":
        path.write_text("".join(f"{label}\n" for label in labels))
    else:
        np.save(path, labels.astype(np.int32))
    summary, table, _ = load(labels=path)
    assert summary["labeled"]
    assert summary["identities"] == len(set(labels.tolist()))
    assert table.schema.field("label").type == pa.int64()
    assert np.array_equal(table["label"].to_numpy(), labels)


def test_many_parts(load, tmp_path, faces, monkeypatch):
    monkeypatch.setattr(importers, "BLOCK_BYTES", 16 * 1024)
    _, labels, ids, similarity = faces
    np.save(tmp_path / "labels.npy", labels)
    np.savez(tmp_path / "knn.npz", data=np.stack([ids, 1 - similarity], axis=1))
    summary, table, knn = load(labels=tmp_path / "labels.npy", knn=tmp_path / "knn.npz")
    assert len(summary["files"]) > 10
    assert np.array_equal(schemas.to_matrix(table["embedding"]), faces[0])
    assert np.array_equal(table["label"].to_numpy(), labels)
    check_lists(knn, ids, similarity)


@pytest.mark.parametrize("values", ["distance", "similarity"])
@pytest.mark.parametrize("layout", ["npz-data", "npz-compressed", "npz-two", "npy-pair", "npy-data"])
def test_lists_with_self(load, tmp_path, faces, layout, values):
    _, _, ids, similarity = faces
    shuffled = np.random.default_rng(1).permuted(np.tile(np.arange(K), (ROWS, 1)), axis=1)
    ids_, stored = (np.take_along_axis(array, shuffled, axis=1) for array in (ids, similarity))
    stored = 1 - stored if values == "distance" else stored
    data = np.stack([ids_, stored], axis=1)
    settings = {"knn": tmp_path / "knn.npz"}
    if layout == "npz-data":
        np.savez(tmp_path / "knn.npz", data=data)
    elif layout == "npz-compressed":
        np.savez_compressed(tmp_path / "knn.npz", data=data.astype(np.float32))
    elif layout == "npz-two":
        np.savez_compressed(tmp_path / "knn.npz", values=stored, nbrs=ids_)
    elif layout == "npy-pair":
        np.save(tmp_path / "I.npy", ids_)
        np.save(tmp_path / "D.npy", stored)
        settings = {"knn": tmp_path / "I.npy", "knn_distances": tmp_path / "D.npy"}
    else:
        np.save(tmp_path / "knn.npy", data)
        settings = {"knn": tmp_path / "knn.npy"}
    summary, _, knn = load(**settings)
    counts = {"padding_dropped": 0, "repeated_dropped": 0, "self_inserted": 0}
    assert summary["knn"] == {"k": K, "values": values, **counts}
    assert knn.schema.equals(schemas.knn(K))
    check_lists(knn, ids, similarity)


@pytest.mark.parametrize("values", ["distance", "similarity"])
def test_lists_without_self_grow_by_one(load, tmp_path, faces, values):
    _, _, ids, similarity = faces
    stored = similarity[:, 1:]
    data = np.stack([ids[:, 1:], 1 - stored if values == "distance" else stored], axis=1)
    np.savez(tmp_path / "knn.npz", data=data)
    summary, _, knn = load(knn=tmp_path / "knn.npz")
    assert summary["knn"]["k"] == K
    assert summary["knn"]["values"] == values
    assert summary["knn"]["self_inserted"] == ROWS
    check_lists(knn, ids, similarity)


@pytest.mark.parametrize("with_self", [True, False])
def test_ids_only(load, tmp_path, faces, monkeypatch, with_self):
    monkeypatch.setattr(importers, "BLOCK_BYTES", 100_000)
    _, _, ids, similarity = faces
    np.save(tmp_path / "knn.npy", ids if with_self else ids[:, 1:])
    summary, _, knn = load(knn=tmp_path / "knn.npy")
    assert summary["knn"]["values"] == "ids"
    check_lists(knn, ids, similarity)


def test_a_row_missing_from_its_own_list_pushes_out_the_last(load, tmp_path, faces):
    _, _, ids, similarity = faces
    stored = ids.copy(), (1 - similarity).copy()
    absent = next(i for i in range(ROWS) if i not in ids[5])
    stored[0][5, 0], stored[1][5, 0] = absent, 0.0
    np.savez(tmp_path / "knn.npz", data=np.stack(stored, axis=1))
    summary, _, knn = load(knn=tmp_path / "knn.npz")
    assert (summary["knn"]["k"], summary["knn"]["self_inserted"]) == (K, 1)
    neighbor, found = lists_of(knn)
    assert list(neighbor[5]) == [5, absent, *ids[5, 1:-1]]
    assert list(found[5, :2]) == [1, 1]


def test_padding_and_repeats(load, tmp_path, faces):
    _, _, ids, similarity = faces
    stored, distance = ids.copy(), 1 - similarity
    stored[7, 4:] = -1
    distance[7, 4:] = np.nan
    stored[8, 3] = stored[8, 2]
    distance[8, 3] = distance[8, 2]
    stored[9] = -1
    np.savez(tmp_path / "knn.npz", data=np.stack([stored, distance], axis=1))
    summary, _, knn = load(knn=tmp_path / "knn.npz")
    assert summary["knn"]["padding_dropped"] == K - 4 + K
    assert summary["knn"]["repeated_dropped"] == 1
    assert summary["knn"]["self_inserted"] == 1
    neighbor, found = lists_of(knn)
    assert list(neighbor[7]) == [*ids[7, :4], *[-1] * (K - 4)]
    assert (found[7, 4:] == -1).all()
    assert list(neighbor[8]) == [*ids[8, :3], *ids[8, 4:], -1]
    assert list(neighbor[9]) == [9] + [-1] * (K - 1)


def test_ties_go_by_id_and_self_stays_first(load, tmp_path):
    np.save(tmp_path / "same.npy", np.ones((4, 3), np.float32))
    ids = np.array([[3, 2, 1, 0], [0, 3, 2, 1], [1, 0, 3, 2], [2, 1, 0, 3]])
    np.savez(tmp_path / "knn.npz", data=np.stack([ids, np.full((4, 4), 1e-7)], axis=1))
    _, _, knn = load(features=tmp_path / "same.npy", width=3, knn=tmp_path / "knn.npz")
    assert lists_of(knn)[0].tolist() == [[0, 1, 2, 3], [1, 0, 2, 3], [2, 0, 1, 3], [3, 0, 1, 2]]


def test_zero_features_have_similarity_zero(load, tmp_path, faces):
    features = faces[0].copy()
    features[3] = 0
    features[4] = np.nan
    np.save(tmp_path / "zero.npy", features)
    np.save(tmp_path / "knn.npy", np.tile(np.arange(6), (ROWS, 1)))
    _, _, knn = load(features=tmp_path / "zero.npy", knn=tmp_path / "knn.npy")
    neighbor, found = lists_of(knn)
    assert (found[(neighbor == 3) & (np.arange(ROWS) != 3)[:, None]] == 0).all()
    assert np.isfinite(found).all()


def fails(load, match, **settings):
    with pytest.raises(InputError, match=match) as caught:
        load(**settings)
    assert "\n" not in str(caught.value)


def test_wrong_features(load, tmp_path, faces):
    fails(load, r"X.bin has 76800 bytes, .* --width 33", width=33)
    fails(load, "--width must give", width=None)
    fails(load, "--width must give", width=0)
    fails(load, "gone.bin does not exist", features=tmp_path / "gone.bin")
    fails(load, "gone.npy does not exist", features=tmp_path / "gone.npy")
    (tmp_path / "empty.bin").touch()
    fails(load, "empty.bin has 0 bytes", features=tmp_path / "empty.bin")
    np.save(tmp_path / "X.npy", faces[0])
    fails(load, "X.npy has width 32, not the 31", features=tmp_path / "X.npy", width=31)
    np.save(tmp_path / "flat.npy", faces[0].ravel())
    fails(load, "flat.npy must hold a 2-d array of floats", features=tmp_path / "flat.npy")
    np.save(tmp_path / "none.npy", np.empty((0, WIDTH)))
    fails(load, "none.npy", features=tmp_path / "none.npy")
    fails(load, "must end in", features=tmp_path / "X.csv")
    (tmp_path / "cut.npy").write_bytes((tmp_path / "X.npy").read_bytes()[:-100])
    fails(load, "cut.npy is no plain NumPy array", features=tmp_path / "cut.npy")
    assert not (tmp_path / "out").exists()


class Bomb:
    def __reduce__(self):
        return (Path.touch, (Path("exploded"),))


def test_pickled_objects_are_never_loaded(load, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    bomb = np.array([Bomb()], dtype=object)
    np.save(tmp_path / "bomb.npy", bomb, allow_pickle=True)
    np.savez(tmp_path / "bomb.npz", data=bomb)
    bomb.dump(tmp_path / "raw.npy")
    for name in ("bomb.npy", "raw.npy"):
        fails(load, name, features=tmp_path / name)
        fails(load, name, labels=tmp_path / name)
        fails(load, name, knn=tmp_path / name)
    fails(load, "bomb.npz", knn=tmp_path / "bomb.npz")
    assert not (tmp_path / "exploded").exists()


def test_wrong_labels(load, tmp_path, faces):
    path = tmp_path / "X.meta"
    lines = [str(label) for label in faces[1]]
    path.write_text("\n".join(lines[:-1]))
    fails(load, r"X.meta has 599 labels, but .*X.bin has 600 rows", labels=path)
    for wrong in ("four", "1.5", "", str(2**63)):
        path.write_text("\n".join([*lines[:3], wrong, *lines[4:]]))
        fails(load, f"X.meta line 4 is '{wrong}'", labels=path)
    is_seventh = np.arange(ROWS) == 7
    for value, kind in ((0.5, np.float64), (np.nan, np.float64), (2**64 - 1, np.uint64)):
        wrong = np.where(is_seventh, kind(value), faces[1].astype(kind))
        np.save(tmp_path / "labels.npy", wrong)
        fails(load, f"labels.npy row 7 is {value}, but must be one integer", labels=tmp_path / "labels.npy")
    np.save(tmp_path / "labels.npy", np.stack([faces[1]] * 2, axis=1))
    fails(load, "labels.npy must hold a 1-d array of integers", labels=tmp_path / "labels.npy")
    fails(load, "gone.meta", labels=tmp_path / "gone.meta")


def test_wrong_lists(load, tmp_path, faces):
    _, _, ids, similarity = faces
    path = tmp_path / "knn.npz"

    def refuse(match, ids=ids, values=1 - similarity):
        np.savez(path, data=np.stack([ids, values], axis=1))
        fails(load, match, knn=path)

    wrong = ids.copy()
    wrong[11, 3] = ROWS
    refuse("knn.npz row 11 names neighbor 600, but ids are 0 .. 599", ids=wrong)
    wrong[11, 3] = -2
    refuse("knn.npz row 11 names neighbor -2", ids=wrong)
    refuse("names neighbor 2.5", ids=np.where(ids == 2, 2.5, ids))
    refuse("600 rows", ids=ids[:-1], values=similarity[:-1])
    refuse("neither cosine distances nor similarities", values=2 * (1 - similarity))
    refuse("neither cosine distances nor similarities", values=similarity - 0.5)
    refuse("neither cosine distances nor similarities", ids=ids[:, 1:], values=np.sqrt(2 - 2 * similarity[:, 1:]))
    broken = 1 - similarity
    broken[11, 3] = np.nan
    refuse("row 11 has a neighbor without a finite value", values=broken)
    np.savez(path, a=ids, b=similarity, c=similarity)
    fails(load, "must hold", knn=path)
    np.savez(path, a=ids, b=similarity[:, 1:])
    fails(load, "must hold", knn=path)
    path.write_bytes(b"no archive")
    fails(load, "knn.npz cannot be read as an .npz file", knn=path)
    fails(load, "gone.npz cannot be read", knn=tmp_path / "gone.npz")
    fails(load, "--knn-distances needs --knn", knn_distances=tmp_path / "D.npy")


def test_float_ids_must_be_exact(load, tmp_path):
    rows = 2050
    np.save(tmp_path / "X.npy", np.ones((rows, 2), np.float32))
    np.save(tmp_path / "knn.npy", np.zeros((rows, 2, 1), np.float16))
    fails(load, "float16 are exact to 2048 only", features=tmp_path / "X.npy", width=2, knn=tmp_path / "knn.npy")


def test_an_interrupted_import_looks_unfinished_and_is_replaced(load, tmp_path, monkeypatch, faces):
    _, _, ids, similarity = faces
    np.savez(tmp_path / "knn.npz", data=np.stack([ids, 1 - similarity], axis=1))
    monkeypatch.setattr(importers, "BLOCK_BYTES", 4096)
    with monkeypatch.context() as patch:
        patch.setattr(importers, "_arranged", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            load(knn=tmp_path / "knn.npz")
    assert len(list((tmp_path / "out" / "embeddings").iterdir())) > 5
    assert not (tmp_path / "out" / "import.json").exists()
    monkeypatch.setattr(importers, "BLOCK_BYTES", 2**20)
    load(knn=tmp_path / "knn.npz")
    fails(load, "out is not empty")


@pytest.mark.parametrize("name", ["embeddings/mine.txt", "knn/mine.parquet", "embeddings/part-00000.parquet"])
@pytest.mark.parametrize("mark", ["", '["embeddings/part-00001.parquet"]'])
def test_files_that_no_mark_of_an_import_names_stay(load, tmp_path, name, mark):
    mine = tmp_path / "out" / name
    mine.parent.mkdir(parents=True)
    mine.write_text("mine")
    (tmp_path / "out" / importers.UNFINISHED).write_text(mark)
    fails(load, f"is not empty .it has {name}")
    assert mine.read_text() == "mine"


@pytest.mark.parametrize("scale", [1e-300, 1e-40, 1e60, 1e300])
def test_rows_beyond_float32_keep_their_direction(load, tmp_path, faces, scale):
    features = faces[0].astype(np.float64)
    features[5] *= scale
    np.save(tmp_path / "X.npy", features)
    _, table, _ = load(features=tmp_path / "X.npy")
    stored = schemas.to_matrix(table["embedding"])
    cosine = stored[5] / np.abs(stored[5]).max() @ (features[5] / scale)
    assert cosine == pytest.approx(
        np.linalg.norm(features[5] / scale) * np.linalg.norm(stored[5] / np.abs(stored[5]).max())
    )


def test_job(tmp_path, faces):
    features, labels, _, _ = faces
    features.tofile(tmp_path / "X.bin")
    (tmp_path / "X.meta").write_text("\n".join(map(str, labels)))
    job = ROOT / "jobs" / "import_features.py"
    command = [sys.executable, str(job), "--features", "X.bin", "--labels", "X.meta", "--output", "out", "--width"]
    done = subprocess.run([*command, "32"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["identities"] == len(set(labels.tolist()))
    refused = subprocess.run([*command, "33"], cwd=tmp_path, capture_output=True, text=True)
    assert refused.returncode == 2
    assert refused.stderr.startswith("error: ")
    assert refused.stderr.count("\n") == 1

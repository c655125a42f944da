"""Feature files: what each layout holds, opened without a copy, and what is refused."""

from pathlib import Path

import numpy as np
import pytest

from raycluster.errors import InputError
from raycluster.storage.feature_files import StoredLists, open_array, open_features, open_lists, read_labels

IDS = np.array([[0, 1, -1], [1, 0, 2], [2, 1, 0]], np.int32)
VALUES = np.array([[0, 0.1, 9], [0, 0.1, 0.2], [0, 0.2, 0.3]], np.float32)


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
def test_features_are_maps_of_the_type_they_are_stored_in(tmp_path: Path, dtype: str) -> None:
    stored = np.arange(12, dtype=dtype).reshape(4, 3)
    np.save(tmp_path / "x.npy", stored)
    opened = open_features(str(tmp_path / "x.npy"), None)
    assert isinstance(opened, np.memmap)
    assert opened.dtype == dtype
    np.testing.assert_array_equal(opened, stored)


def test_a_file_without_header_is_rows_of_float32(tmp_path: Path) -> None:
    stored = np.arange(12, dtype="<f4").reshape(4, 3)
    stored.tofile(tmp_path / "x.bin")
    opened = open_features(str(tmp_path / "x.bin"), 3)
    assert isinstance(opened, np.memmap)
    np.testing.assert_array_equal(opened, stored)
    with pytest.raises(InputError, match=r"has 48 bytes, which are no whole rows of --width 5 \(4 bytes per number\)"):
        open_features(str(tmp_path / "x.bin"), 5)


@pytest.mark.parametrize("text", ["3\n-1\n7\n", "3\n-1\n7", " 3 \r\n-1\r\n7\r\n"])
def test_labels_are_one_integer_per_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "x.meta"
    path.write_text(text)
    labels = read_labels(str(path))
    assert labels.dtype == np.int64
    assert labels.tolist() == [3, -1, 7]


def test_lists_are_ids_and_values_in_any_of_their_layouts(tmp_path: Path) -> None:
    np.save(tmp_path / "both.npy", np.stack([IDS, VALUES], axis=1))
    np.savez(tmp_path / "both.npz", np.stack([IDS, VALUES], axis=1))
    np.savez(tmp_path / "two.npz", a=VALUES, b=IDS)
    np.save(tmp_path / "ids.npy", IDS)
    np.save(tmp_path / "values.npy", VALUES)
    layouts = [("both.npy", None), ("both.npz", None), ("two.npz", None), ("ids.npy", str(tmp_path / "values.npy"))]
    for name, distances in layouts:
        lists = open_lists(str(tmp_path / name), distances, 3, tmp_path)
        assert isinstance(lists.ids, np.memmap)
        np.testing.assert_array_equal(lists.ids_of(np.arange(3)), IDS)
        assert lists.values is not None
        np.testing.assert_array_equal(lists.values, VALUES)
    assert open_lists(str(tmp_path / "ids.npy"), None, 3, tmp_path).values is None


def test_ids_are_rows_or_padding() -> None:
    lists = StoredLists("x.npy", IDS.astype(np.float64), None)
    found = lists.ids_of(np.array([2, 0]))
    assert found.dtype == np.int64
    assert found.tolist() == [[2, 1, 0], [0, 1, -1]]
    for wrong in (3, -2, 0.5, np.nan):
        ids = IDS.astype(np.float64)
        ids[1, 2] = wrong
        with pytest.raises(
            InputError, match=r"^x\.npy row 1 names neighbor .*, but ids are 0 \.\. 2, or -1 for padding\.$"
        ):
            StoredLists("x.npy", ids, None).ids_of(np.array([0, 1]))


def test_another_number_of_lists_than_features_is_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "ids.npy", IDS)
    with pytest.raises(InputError, match=r"holds 3 lists of 3 neighbors, but there are 4 rows\.$"):
        open_lists(str(tmp_path / "ids.npy"), None, 4, tmp_path)


@pytest.mark.parametrize(
    "stored", [np.arange(3.0), np.arange(3)[:, None], np.arange(3, dtype=">u2"), np.arange(3) == 1]
)
def test_stored_labels_are_whole_numbers_of_any_type(tmp_path: Path, stored: np.ndarray) -> None:
    np.save(tmp_path / "l.NPY.npy", stored)
    (tmp_path / "l.NPY.npy").rename(tmp_path / "l.NPY")
    if stored.dtype == bool:
        with pytest.raises(InputError, match="must hold one array of plain numbers"):
            read_labels(str(tmp_path / "l.NPY"))
    else:
        assert read_labels(str(tmp_path / "l.NPY")).tolist() == [0, 1, 2]


def test_files_that_begin_as_others_do_are_named(tmp_path: Path) -> None:
    rows = np.arange(32, dtype=np.float32).reshape(8, 4)
    np.save(tmp_path / "x.npy", rows)
    np.savez(tmp_path / "x.npz", rows)
    whole = (tmp_path / "x.npy").read_bytes()
    (tmp_path / "npy.bin").write_bytes(whole)
    (tmp_path / "npz.bin").write_bytes(
        (tmp_path / "x.npz").read_bytes() + b"\0" * (-(tmp_path / "x.npz").stat().st_size % 16)
    )
    (tmp_path / "text.npy").write_text("1 2 3\n" * 100)
    (tmp_path / "two.npy").write_bytes(whole + whole)
    (tmp_path / "cut.npy").write_bytes(whole[:-3])
    (tmp_path / "zeros.bin").write_bytes(bytes(64))
    says = {
        "npy.bin": "begins as .npy files do",
        "npz.bin": "begins as .npz files do",
        "text.npy": "does not begin as an .npy file does",
        "two.npy": r"holds more than its first array of shape \(8, 4\)",
        "cut.npy": "is no plain NumPy array",
    }
    for name, words in says.items():
        with pytest.raises(InputError, match=words) as caught:
            open_features(str(tmp_path / name), 4)
        assert "pickle" not in str(caught.value)
    assert not open_features(str(tmp_path / "zeros.bin"), 4).any()


def test_an_array_of_text_is_refused_by_name(tmp_path: Path) -> None:
    np.save(tmp_path / "text.npy", np.array(["a"]))
    with pytest.raises(InputError, match=r"^text must hold one array of plain numbers\.$"):
        open_array(tmp_path / "text.npy", "text")


def test_float64_in_a_bin_file_is_noticed(tmp_path: Path) -> None:
    features = np.random.default_rng(0).normal(size=(60, 8))
    features.tofile(tmp_path / "wide.bin")
    with pytest.raises(InputError, match="holds what reads as float64 numbers"):
        open_features(str(tmp_path / "wide.bin"), 8)
    features.astype(np.float32).tofile(tmp_path / "bare.bin")
    assert open_features(str(tmp_path / "bare.bin"), 8).shape == (60, 8)


@pytest.mark.parametrize("text", ["\ufeff3\n1\n2\n", "3\n1\n2\n\n", "3.000000000000000000e+00\n1\n2\n"])
def test_labels_with_a_mark_a_blank_line_or_by_savetxt_are_read(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.meta").write_text(text, "utf-8")
    assert read_labels(str(tmp_path / "x.meta")).tolist() == [3, 1, 2]


def test_files_with_headers_are_read_and_not_taken_for_bare_ones(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).standard_normal((6, 4)).astype("<f4")
    count = np.array([6, 4], "<u4").tobytes()
    each = np.hstack([np.full((6, 1), 4, "<u4").view("<f4"), rows])
    for name, data in (("a.fbin", count + rows.tobytes()), ("a.fvecs", each.tobytes())):
        (tmp_path / name).write_bytes(data)
        np.testing.assert_array_equal(open_features(str(tmp_path / name), 4), rows)
        with pytest.raises(InputError, match="has width 4, not the 5 of --width"):
            open_features(str(tmp_path / name), 5)
        bare = tmp_path / "a.bin"
        bare.write_bytes(data)
        with pytest.raises(InputError, match=rf"has a header as {Path(name).suffix} files have"):
            open_features(str(bare), 2 if name == "a.fbin" else 5)
        (tmp_path / name).write_bytes(data[:-4])
        with pytest.raises(InputError, match="its size does not follow from its header"):
            open_features(str(tmp_path / name), None)


@pytest.mark.parametrize("kind", ["i1", "u1", ">f4", "<f2", "<i8"])
def test_matrices_of_any_number_are_features(tmp_path: Path, kind: str) -> None:
    rows = np.arange(12).reshape(4, 3).astype(kind)
    np.save(tmp_path / "a.npy", np.asfortranarray(rows))
    np.testing.assert_array_equal(open_features(str(tmp_path / "a.npy"), 3), rows)


@pytest.mark.parametrize(("kind", "name"), [("<f2", "float16"), (">f4", "big-endian float32"), ("<i4", "int32")])
def test_bare_files_of_another_type_are_noticed(tmp_path: Path, kind: str, name: str) -> None:
    (100 * np.random.default_rng(0).standard_normal((40, 16))).astype(kind).tofile(tmp_path / "a.bin")
    with pytest.raises(InputError, match=f"reads as {name} numbers"):
        open_features(str(tmp_path / "a.bin"), 16)

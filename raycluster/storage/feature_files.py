"""Files of published face clustering code: features, labels and neighbor lists.

Arrays are memory-mapped, so that memory does not grow with the rows. Shapes: N rows, D dimensions, K entries per list,
B rows of a block.
"""

import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from raycluster.arrays import Array, Int64
from raycluster.errors import InputError

BARE = np.dtype("<f4")
"""Numbers of a .bin file: float32, lowest byte first."""
SAMPLE_ROWS = 1000
"""Rows in which a file of another type shows."""
ABSURD = 1e12
"""Magnitude of a number, or of its inverse, that no feature has."""
ABSURD_SHARE = 0.02
"""Share of absurd numbers from which a file counts as one of another type: float64 read as float32 has a third."""


@dataclass(frozen=True)
class StoredLists:
    """Neighbor lists as they are stored."""

    path: str
    """The file, as error sentences name it."""
    ids: Array
    """Neighbors (N, K), -1 where padded. Some files store them as floats."""
    values: Array | None
    """Distances or similarities (N, K); none where the file has only ids."""

    def ids_of(self, index: Int64) -> Int64:
        """Return the neighbors (B, K) of the rows `index` (B,), -1 where padded.

        Raises InputError, naming the row, for an id that is no row.
        """
        stored = np.asarray(self.ids[index])
        is_wrong = ~((stored >= -1) & (stored < len(self.ids)))
        if stored.dtype.kind == "f":
            is_wrong |= stored != np.rint(stored)
        if is_wrong.any():
            row, column = np.argwhere(is_wrong)[0]
            raise InputError(
                f"{self.path} row {index[row]} names neighbor {stored[row, column]:.17g}, but ids are "
                f"0 .. {len(self.ids) - 1}, or -1 for padding."
            )
        return stored.astype(np.int64)


def open_array(path: Path, name: str) -> Array:
    """Return the numbers in an .npy file, memory-mapped.

    `name` is the file's in error sentences. Raises InputError where the file is missing, is no plain array, or holds
    pickled objects, which are never loaded.
    """
    try:
        array: Array = np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError:
        raise InputError(f"{name} does not exist.") from None
    except (ValueError, EOFError, OSError) as error:
        raise InputError(f"{name} is no plain NumPy array: {' '.join(str(error).split()).rstrip('.')}.") from error
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "iuf":
        raise InputError(f"{name} must hold one array of plain numbers.")
    return array


def open_features(path: str, width: int | None) -> Array:
    """Return features (N, D) of the dtype they are stored in, memory-mapped.

    A .bin file is float32 without a header, so that `width`, which is D, must be set; of an .npy file it is only checked.
    Raises InputError where the file is missing, empty or of another layout.
    """
    if path.endswith(".npy"):
        features = _open_matrix(path, width)
    elif path.endswith(".bin"):
        features = _open_bare(path, width)
    else:
        raise InputError(f"{path} must end in .bin or .npy.")
    if not features.size:
        raise InputError(f"{path} holds no features.")
    return features


def _open_matrix(path: str, width: int | None) -> Array:
    """Return the features in an .npy file."""
    features = open_array(Path(path), path)
    if features.ndim != 2 or features.dtype.kind != "f":
        raise InputError(f"{path} must hold a 2-d array of floats, not {features.ndim}-d {features.dtype}.")
    if width not in (None, features.shape[1]):
        raise InputError(f"{path} has width {features.shape[1]}, not the {width} of --width.")
    return features


def _open_bare(path: str, width: int | None) -> Array:
    """Return the features in a .bin file, row after row."""
    if not Path(path).is_file():
        raise InputError(f"{path} does not exist.")
    if width is None or width < 1:
        raise InputError(f"{path} has no header: --width must give its dimensions.")
    size = Path(path).stat().st_size
    if size == 0 or size % (BARE.itemsize * width):
        raise InputError(f"{path} has {size} bytes, which are no whole rows of --width {width} (4 bytes per number).")
    features = np.memmap(path, BARE, "r").reshape(-1, width)
    if _looks_like_float64(path, features[:SAMPLE_ROWS], size, width):
        raise InputError(
            f"{path} holds what reads as float64 numbers, but .bin files are float32; write it with "
            "astype('float32').tofile, or save it as .npy."
        )
    return features


def _looks_like_float64(path: str, sample: Array, size: int, width: int) -> bool:
    """Whether numbers are absurd as float32 and plain as float64."""
    if size % (8 * width):
        return False
    wide = np.memmap(path, "<f8", "r")[: sample.size // 2]
    with np.errstate(invalid="ignore", over="ignore"):
        absurd = ~((np.abs(sample) < ABSURD) & ((np.abs(sample) > 1 / ABSURD) | (sample == 0)))
        plain = (np.abs(wide) < ABSURD) & ((np.abs(wide) > 1 / ABSURD) | (wide == 0))
    return bool(absurd.mean() > ABSURD_SHARE and plain.mean() > 1 - ABSURD_SHARE)


def read_labels(path: str) -> Int64:
    """Return the labels (N,) in an .npy file or in a text file.

    A text file has one integer per line. Raises InputError, naming the line, for anything but integers of 64 bits.
    """
    if Path(path).suffix == ".npy":
        array = open_array(Path(path), path)
        if array.ndim != 1 or array.dtype.kind not in "iu":
            raise InputError(f"{path} must hold a 1-d array of integers, not {array.ndim}-d {array.dtype}.")
        return array.astype(np.int64)
    try:
        lines = Path(path).read_text("utf-8-sig").rstrip().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read as text: {error}.") from error
    labels = np.empty(len(lines), np.int64)
    for row, line in enumerate(lines):
        try:
            labels[row] = _whole(line)
        except (ValueError, OverflowError):
            raise InputError(f"{path} line {row + 1} is {line[:40]!r}, but must be one integer of 64 bits.") from None
    return labels


def open_lists(path: str, distances: str | None, rows: int, folder: Path) -> StoredLists:
    """Return neighbor lists, memory-mapped and checked for shape and type.

    Parameters
    ----------
    path
        An .npz or .npy file of ids and values (N, 2, K) or of ids (N, K); or an .npz file of ids and values.
    distances
        An .npy file with the values (N, K), where `path` holds only ids.
    rows
        N, the number of features.
    folder
        Temporary folder that an .npz file is unpacked to, since its arrays are compressed.

    Returns
    -------
    StoredLists
        The lists; their ids are checked when they are read.

    Raises
    ------
    InputError
        For another layout, another number of rows, or ids in a float type that cannot hold them exactly.
    """
    arrays = _unpacked(path, folder) if path.endswith(".npz") else [open_array(Path(path), path)]
    if distances is not None:
        arrays.append(open_array(Path(distances), distances))
    ids, values = _ids_and_values(arrays, path)
    if len(ids) != rows or not ids.size:
        raise InputError(f"{path} holds {len(ids)} lists of {ids.shape[1]} neighbors, but there are {rows} rows.")
    exact = 2 ** (np.finfo(ids.dtype).nmant + 1) if ids.dtype.kind == "f" else 2**31 - 1
    if rows > exact:
        raise InputError(f"{path} has {rows} rows, but ids of type {ids.dtype} are exact to {exact} only.")
    return StoredLists(path, ids, values)


def _ids_and_values(arrays: list[Array], path: str) -> tuple[Array, Array | None]:
    """Return which array holds the ids and which, if any, the values."""
    shapes = [array.shape for array in arrays]
    arrays = sorted(arrays, key=lambda array: array.dtype.kind == "f")  # ids before values, whatever their names
    if len(arrays) == 1 and len(shapes[0]) == 3 and shapes[0][1] == 2:
        return arrays[0][:, 0], arrays[0][:, 1]
    if len(arrays) == 2 and shapes[0] == shapes[1] and len(shapes[0]) == 2 and arrays[1].dtype.kind == "f":
        return arrays[0], arrays[1]
    if len(arrays) == 1 and len(shapes[0]) == 2:
        return arrays[0], None
    raise InputError(
        f"{path} must hold rows x 2 x K (ids, values), or ids rows x K with or without values of the same shape, not "
        f"{' and '.join(map(str, shapes))}."
    )


def _unpacked(path: str, folder: Path) -> list[Array]:
    """Return the arrays of an .npz file, memory-mapped from copies in `folder`."""
    try:
        with zipfile.ZipFile(path) as archive:
            return [open_array(Path(archive.extract(n, folder)), f"{path}:{n}") for n in sorted(archive.namelist())]
    except (OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise InputError(f"{path} cannot be read as an .npz file: {error}.") from error


def _whole(line: str) -> int:
    """Return a whole number, also as np.savetxt writes it.

    Raises ValueError for anything else.
    """
    try:
        return int(line)
    except ValueError:
        value = float(line)
        if not value.is_integer():
            raise
        return int(value)

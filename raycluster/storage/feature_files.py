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
from raycluster.storage.bare_numbers import BARE, misread_as

SAMPLE_ROWS = 1000
"""Rows in which a file of another type or layout shows."""
NUMPY = b"\x93NUMPY"
"""First bytes of an .npy file."""
STARTS = {NUMPY: ".npy", b"PAR1": ".parquet", b"PK\x03\x04": ".npz"}
"""First bytes of files that are no bare numbers, and the endings of such files."""
HEADER = np.dtype("<u4")
"""Numbers before the rows of an .fbin file, rows and dimensions, and before each row of an .fvecs file, its dimensions."""


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
        start = _first_bytes(path)
        if start and not start.startswith(NUMPY):
            raise InputError(f"{name} is no plain NumPy array: it does not begin as an .npy file does.")
        array: Array = np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError:
        raise InputError(f"{name} does not exist.") from None
    except InputError:
        raise
    except (ValueError, EOFError, OSError) as error:
        raise InputError(f"{name} is no plain NumPy array: {' '.join(str(error).split()).rstrip('.')}.") from error
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "iuf":
        raise InputError(f"{name} must hold one array of plain numbers.")
    if isinstance(array, np.memmap) and path.stat().st_size > array.offset + array.nbytes:
        raise InputError(f"{name} holds more than its first array of shape {array.shape}; save one array per file.")
    return array


def _first_bytes(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(len(NUMPY))


def open_features(path: str, width: int | None) -> Array:
    """Return features (N, D) of the dtype they are stored in, memory-mapped.

    A .bin file is float32 without a header, so that `width`, which is D, must be set; of an .npy file it is only checked.
    Raises InputError where the file is missing, empty or of another layout.
    """
    ending = Path(path).suffix.lower()
    if ending == ".npy":
        features = _open_matrix(path, width)
    elif ending == ".bin":
        features = _open_bare(path, width)
    elif ending in (".fbin", ".fvecs"):
        features = _open_headed(path, width)
    else:
        raise InputError(f"{path} must end in .bin or .npy, or be an .fbin or .fvecs file.")
    if not features.size:
        raise InputError(f"{path} holds no features.")
    return features


def _open_matrix(path: str, width: int | None) -> Array:
    """Return the features in an .npy file."""
    features = open_array(Path(path), path)
    if features.ndim != 2:
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
    start = _first_bytes(Path(path))
    if (other := next((ending for mark, ending in STARTS.items() if start.startswith(mark)), None)) is not None:
        raise InputError(f"{path} begins as {other} files do; end its name in {other}.")
    if (ending := _headed_as(path, size)) is not None:
        raise InputError(
            f"{path} has a header as {ending} files have, but .bin files have none; end its name in {ending}."
        )
    if (kind := misread_as(features[:SAMPLE_ROWS].tobytes())) is not None:
        raise InputError(
            f"{path} holds what reads as {kind} numbers, but .bin files are float32; write it with "
            "astype('float32').tofile, or save it as .npy."
        )
    return features


def _headed_as(path: str, size: int) -> str | None:
    """Return the ending of files with such headers.

    None where the file has no header.
    """
    if size < 2 * HEADER.itemsize or size % HEADER.itemsize:
        return None
    numbers = np.memmap(path, HEADER, "r")
    rows, width = int(numbers[0]), int(numbers[1])
    if size == HEADER.itemsize * (2 + rows * width):
        return ".fbin"
    step = rows + 1
    return (
        ".fvecs" if rows and len(numbers) % step == 0 and (numbers[: SAMPLE_ROWS * step : step] == rows).all() else None
    )


def _open_headed(path: str, width: int | None) -> Array:
    """Return the features in an .fbin or .fvecs file."""
    if not Path(path).is_file():
        raise InputError(f"{path} does not exist.")
    ending = Path(path).suffix.lower()
    if _headed_as(path, Path(path).stat().st_size) != ending:
        raise InputError(f"{path} is no {ending} file: its size does not follow from its header.")
    if ending == ".fbin":
        rows, found = (int(number) for number in np.memmap(path, HEADER, "r", shape=(2,)))
        features: Array = np.memmap(path, BARE, "r", offset=2 * HEADER.itemsize, shape=(rows, found))
    else:
        found = int(np.memmap(path, HEADER, "r", shape=(1,))[0])
        features = np.memmap(path, BARE, "r").reshape(-1, found + 1)[:, 1:]
    if width not in (None, found):
        raise InputError(f"{path} has width {found}, not the {width} of --width.")
    return features


def read_labels(path: str) -> Int64:
    """Return the labels (N,) in an .npy file or in a text file.

    A text file has one integer per line. Raises InputError, naming the line, for anything but integers of 64 bits.
    """
    if Path(path).suffix.lower() == ".npy":
        return _stored_labels(path)
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


def _stored_labels(path: str) -> Int64:
    """Return the labels (N,) in an .npy file; whole numbers of any type count."""
    array = open_array(Path(path), path)
    if array.shape[1:] == (1,):
        array = array[:, 0]
    if array.ndim != 1:
        raise InputError(f"{path} must hold a 1-d array of integers, not {array.ndim}-d {array.dtype}.")
    with np.errstate(invalid="ignore"):
        labels = array.astype(np.int64)
    is_wrong = labels != array
    if is_wrong.any():
        row = int(np.argmax(is_wrong))
        raise InputError(f"{path} row {row} is {array[row]}, but must be one integer of 64 bits.")
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
    arrays = _unpacked(path, folder) if path.lower().endswith(".npz") else [open_array(Path(path), path)]
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
        f"{' and '.join(map(str, shapes)) or 'nothing'}."
    )


def _unpacked(path: str, folder: Path) -> list[Array]:
    """Return the arrays of an .npz file, memory-mapped from copies in `folder`."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = sorted(name for name in archive.namelist() if not name.endswith("/"))
            return [open_array(Path(archive.extract(name, folder)), f"{path}:{name}") for name in names]
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

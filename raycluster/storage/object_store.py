"""The one module that touches storage: local disk, and object stores by fsspec.

Nothing here relies on rename. An object is written by one put; what must be written once is put on the condition that
it does not exist yet. A reader trusts a marker that names an object, never a listing.
"""

import contextlib
import errno
import hashlib
import os
import shutil
import uuid
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq

from raycluster.errors import DamagedError, InputError
from raycluster.storage.clear_errors import clear_errors, reason_of
from raycluster.storage.endpoint import patient_s3
from raycluster.storage.keys import key_of, keys_below
from raycluster.storage.local_disk import NO_HARD_LINKS, files_below, link_once
from raycluster.storage.other_formats import remedy_for
from raycluster.storage.parts import encode_parquet, read_parquet
from raycluster.storage.places import is_pattern, plain_url
from raycluster.storage.records import Record, decode


class Store:
    """A folder on disk or under a bucket; every path is relative to it and uses `/`."""

    _fs: Any
    _root: str

    def __init__(self, url: str) -> None:
        self.url = plain_url(url)
        with clear_errors(self.url):
            if "://" in self.url:
                open_url = patient_s3 if self.url.startswith("s3://") else fsspec.core.url_to_fs
                self._fs, self._root = open_url(self.url)
            else:
                self._fs, self._root = fsspec.filesystem("file"), self.url
        self.is_local = "file" in _protocols(self._fs)
        # s3fs would fetch the size first and then large objects by several requests.
        self._at_once = {"max_concurrency": 1} if self.url.startswith("s3://") else {}

    def _path(self, path: str) -> str:
        return key_of(self._root, path)

    @property
    def free_bytes(self) -> int | None:
        """Free bytes of the disk of the folder; none for an object store."""
        if not self.is_local:
            return None
        place = self._root
        while not os.path.exists(place):
            place = os.path.dirname(place)
        return shutil.disk_usage(place).free

    def name(self, path: str) -> str:
        """The full path or URL, for messages."""
        return f"{self.url}/{path}" if path else self.url

    def get(self, path: str) -> bytes | None:
        """The object's bytes, or none where there is no such object."""
        with clear_errors(self.name(path)):
            try:
                return bytes(self._fs.cat_file(self._path(path), **self._at_once))
            except FileNotFoundError:
                return None

    def get_range(self, path: str, start: int, stop: int) -> bytes | None:
        """Return bytes start..stop of an object by one request; none where it is missing.

        Parameters
        ----------
        path
            Below the store's root.
        start, stop
            First byte, and the byte behind the last.
        """
        with clear_errors(self.name(path)):
            try:
                return bytes(self._fs.cat_file(self._path(path), start=start, end=stop))
            except FileNotFoundError:
                return None

    def record(self, path: str, kind: type[Record]) -> Record | None:
        """Return the sealed record at a path; none where there is none.

        A damaged reply may have been damaged on its way, so that a second one is fetched.

        Raises DamagedError where the second one is damaged as well.
        """
        for is_last in (False, True):
            data = self.get(path)
            try:
                return None if data is None else decode(data, kind, self.name(path))
            except DamagedError:
                if is_last:
                    raise
        raise AssertionError

    def put(self, path: str, data: bytes) -> None:
        """Write an object in one step, replacing what was there."""
        with clear_errors(self.name(path)):
            if self.is_local:
                with self._written_beside(path, data) as temporary:
                    os.replace(temporary, self._path(path))
            else:
                self._fs.pipe_file(self._path(path), data)

    def create(self, path: str, data: bytes) -> bool:
        """Write an object only if there is none (If-None-Match on an object store).

        False where another is there.

        A put whose reply was lost is repeated by the client and then refused, so what is there is compared with `data`.
        """
        with clear_errors(self.name(path)):
            if self.is_local:
                with self._written_beside(path, data) as temporary:
                    return link_once(temporary, self._path(path))
            try:
                self._fs.pipe_file(self._path(path), data, mode="create")
            except OSError:
                there = self.get(path)
                if there is None:
                    raise
                return there == data
            return True

    @contextlib.contextmanager
    def _written_beside(self, path: str, data: bytes) -> Iterator[str]:
        target = self._path(path)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        temporary = f"{target}.{uuid.uuid4().hex}.tmp"
        try:
            with open(temporary, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            yield temporary
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary)

    def delete(self, path: str) -> None:
        """Remove one object by its exact name; nothing to remove is no error."""
        with clear_errors(self.name(path)), contextlib.suppress(FileNotFoundError):
            if self.is_local:
                os.unlink(self._path(path))
            else:
                self._fs.rm_file(self._path(path))

    def delete_below(self, folder: str) -> None:
        """Remove every object below a folder of ours, each by its exact name."""
        for name in self.files(folder):
            self.delete(name)
        self.remove_empty_folders(folder)

    def remove_empty_folders(self, path: str) -> None:
        """Remove a local folder and those below it where they are empty.

        Object stores have no folders.
        """
        if not self.is_local:
            return
        for folder, _, _ in os.walk(self._path(path), topdown=False):
            with contextlib.suppress(OSError):
                os.rmdir(folder)

    def copy(self, source: str, target: str) -> None:
        """Store the bytes of one object under another key, too.

        A disk gets a hard link, or a copy where it has no hard links. An object store copies the object.
        """
        with clear_errors(self.name(source)):
            if self.is_local:
                os.makedirs(os.path.dirname(self._path(target)), exist_ok=True)
                temporary = f"{self._path(target)}.{uuid.uuid4().hex}.tmp"
                try:
                    os.link(self._path(source), temporary)
                except OSError as error:
                    if error.errno not in NO_HARD_LINKS:
                        raise
                    shutil.copyfile(self._path(source), temporary)
                os.replace(temporary, self._path(target))
                with contextlib.suppress(FileNotFoundError):  # where both names are one file, replace does nothing
                    os.unlink(temporary)
            else:
                self._fs.cp_file(self._path(source), self._path(target))

    def files(self, path: str = "") -> list[str]:
        """Return every object below `path`, sorted, relative to the store.

        Raises StorageError for an unreadable folder.
        """
        with clear_errors(self.name(path)):
            if self.is_local:
                return files_below(self._root, path)
            return keys_below(self._fs, self._root, self._path(path))

    def matching(self) -> list[str]:
        """Return the places that the store's own URL names as a pattern (*, ?, [...]).

        None where it is no pattern.
        """
        with clear_errors(self.url):
            names = self._fs.glob(self._root) if is_pattern(self._root) else []
        prefix = self.url.split("://", 1)[0] + "://" if "://" in self.url else ""
        return sorted(f"{prefix}{name}" for name in names)

    def starts_with(self, path: str, marks: Sequence[bytes]) -> bool:
        """Whether an object's first bytes are one of `marks`, which are equally long."""
        with clear_errors(self.name(path)):
            try:
                return bytes(self._fs.cat_file(self._path(path), start=0, end=len(marks[0]))) in marks
            except OSError as error:
                if error.errno == errno.EINVAL and not self.is_local:  # an empty object has no first bytes
                    return False
                raise

    def is_file(self) -> bool:
        """Whether the store's own URL is one object rather than a folder.

        An empty object with others below its name stands for a folder.
        """
        with clear_errors(self.url):
            if not self._fs.isfile(self._root):
                return False
        return self.is_local or self.size("") > 0 or not self.files()

    def identity(self, path: str) -> dict[str, Any]:
        """Return an object's size and its ETag or the digest of its bytes.

        Objects are compared by these.
        """
        with clear_errors(self.name(path)):
            if self.is_local:
                with open(self._path(path), "rb") as file:
                    digest = hashlib.file_digest(file, "sha256").hexdigest()
                    return {"path": path, "size": file.tell(), "version": digest}
            info = self._fs.info(self._path(path))
        return {"path": path, "size": info["size"], "version": str(info.get("ETag") or info.get("mtime"))}

    def size(self, path: str) -> int:
        """Return the bytes of an object."""
        with clear_errors(self.name(path)):
            return int(self._fs.info(self._path(path))["size"])

    @contextlib.contextmanager
    def parquet(self, path: str, require: Callable[[Any], None] | None = None) -> Iterator[pq.ParquetFile]:
        """An open Parquet file of the user's.

        Raises InputError where it is truncated or something else. `require` may refuse the open file before it is read.
        """
        with clear_errors(self.name(path)), self._fs.open(self._path(path), "rb") as file:
            if require is not None:
                require(file)
            try:
                yield pq.ParquetFile(file)
            except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OSError) as error:
                if isinstance(error, OSError) and error.errno is not None:
                    raise
                reason = f"{reason_of(error)}{remedy_for(self.name(path))}"
                raise InputError(f"{self.name(path)} is no readable Parquet file: {reason}.") from error

    def put_tables(self, path: str, tables: Sequence[pa.Table]) -> str:
        """Put tables as one Parquet object, a row group each; returns its SHA-256."""
        data = encode_parquet(tables)
        self.put(path, data)
        return hashlib.sha256(data).hexdigest()

    def get_table(self, path: str, sha256: str, columns: list[str] | None = None) -> pa.Table:
        """Return a table that `put_tables` wrote; DamagedError for another SHA-256.

        Parameters
        ----------
        path
            Below the store's root.
        sha256
            Of the object's bytes, in hex.
        columns
            Names to read; None reads all.
        """
        data = self.get(path)
        if data is None or hashlib.sha256(data).hexdigest() != sha256:
            state = "is missing" if data is None else "was changed or damaged"
            raise DamagedError(f"{self.name(path)} {state}.", "the command that wrote it writes it again")
        return read_parquet(data, columns)


def _protocols(filesystem: Any) -> tuple[str, ...]:
    names = filesystem.protocol
    return (names,) if isinstance(names, str) else tuple(names)

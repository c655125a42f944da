"""Keys of a store are listed as they are, without those that stand for folders."""

from typing import Any

from raycluster.storage.keys import keys_below


class Listing:
    """A file system with a fixed listing."""

    def __init__(self, objects: dict[str, dict[str, Any]]) -> None:
        self.objects = objects

    def find(self, prefix: str, detail: bool) -> dict[str, dict[str, Any]]:
        assert detail
        if prefix == "bucket/none":
            raise FileNotFoundError(prefix)
        return self.objects

    @staticmethod
    def _strip_protocol(root: str) -> str:
        return root.removeprefix("s3://").rstrip("/")


def test_keys_stay_as_they_are_and_marks_of_folders_are_left_out() -> None:
    full = {"type": "file", "size": 3}
    names = ["a.parquet", "/b.parquet", "../c.parquet", "./d.parquet", "e/", "sub/f"]
    objects = {f"bucket/in/{name}": full for name in names}
    objects["bucket/in/"] = objects["bucket/in/sub/"] = {"type": "file", "size": 0}
    objects["bucket/in/seen"] = {"type": "directory", "size": 0}
    objects["bucket/in"] = full  # where nothing lies below a key, s3fs lists the key itself
    assert keys_below(Listing(objects), "s3://bucket/in", "bucket/in") == sorted(names)
    assert keys_below(Listing(objects), "s3://bucket/none", "bucket/none") == []

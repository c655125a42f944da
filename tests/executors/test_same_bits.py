"""Workers of another kind of processor are refused by name; without nodes at the start the first worker decides."""

from pathlib import Path

from raycluster.executors.same_bits import FIRST, refusal_of_processor
from raycluster.models.processors import Processor, Shared
from raycluster.storage.object_store import Store

ONE, OTHER = Processor("A", "1/2", "avx512"), Processor("A", "1/3", "avx512")


def test_the_kind_of_the_start_is_kept(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    assert refusal_of_processor(store, Shared(str(ONE)), ONE, "10.0.0.7") == ""
    sentence = refusal_of_processor(store, Shared(str(ONE)), OTHER, "10.0.0.7")
    assert sentence.startswith(
        "Node 10.0.0.7 has another kind of processor (A 1/3 with avx512) than the nodes that this run"
    )
    assert "--processors any" in sentence
    assert not (tmp_path / FIRST).exists()


def test_without_nodes_at_the_start_the_first_worker_decides(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    assert refusal_of_processor(store, Shared(), ONE, "first") == ""
    assert refusal_of_processor(store, Shared(), ONE, "second") == ""
    assert "Node third has another kind" in refusal_of_processor(store, Shared(), OTHER, "third")
    whole = (tmp_path / FIRST).read_bytes()
    (tmp_path / FIRST).write_bytes(whole.replace(b"1/2", b"9/9"))
    assert refusal_of_processor(store, Shared(), ONE, "after damage") == ""
    assert (tmp_path / FIRST).read_bytes() == whole


def test_shared_instructions_take_every_kind_that_has_them(tmp_path: Path) -> None:
    shared = Shared("", "avx512", {"ATEN_CPU_CAPABILITY": "avx512"})
    assert refusal_of_processor(Store(str(tmp_path)), shared, OTHER, "any") == ""
    assert "without avx512" in refusal_of_processor(Store(str(tmp_path)), shared, Processor("A", "0/1", "avx2"), "old")

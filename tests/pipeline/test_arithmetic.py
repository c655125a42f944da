"""The arithmetic of a run: the fastest that all nodes have, stored once and kept by every later start."""

from dataclasses import replace
from pathlib import Path

import pytest

from raycluster.config.execution import Execution
from raycluster.errors import ResourceError
from raycluster.executors.node_report import NodeReport
from raycluster.executors.sizing import ADDRESS
from raycluster.models.arithmetic import Arithmetic
from raycluster.models.processors import Processor, Shared, common
from raycluster.pipeline import arithmetic as module
from raycluster.pipeline.arithmetic import ARITHMETIC, choice, decided
from raycluster.storage.object_store import Store

FAST = NodeReport("fast", {"numpy": "2.4.0"}, has_bfloat16=True)
SLOW = replace(FAST, node="slow", has_bfloat16=False)
GPU = replace(SLOW, node="gpu", has_gpu_bfloat16=True)
OLD_GPU = replace(GPU, node="old", has_gpu_bfloat16=False)


@pytest.mark.parametrize(
    ("keys", "own", "nodes", "expected"),
    [
        ({}, FAST, [], Arithmetic("bfloat16", "cpu")),
        ({}, SLOW, [], Arithmetic("float32", "cpu")),
        ({}, SLOW, [FAST, FAST], Arithmetic("bfloat16", "cpu")),
        ({}, FAST, [FAST, SLOW], Arithmetic("float32", "cpu")),
        ({"precision": "bfloat16"}, FAST, [FAST, SLOW], Arithmetic("bfloat16", "cpu")),
        ({"precision": "float32"}, FAST, [], Arithmetic("float32", "cpu")),
        ({}, FAST, [FAST, replace(GPU, has_bfloat16=True)], Arithmetic("bfloat16", "gpu")),
        ({}, FAST, [replace(OLD_GPU, has_bfloat16=True)], Arithmetic("float32", "gpu")),
        ({"accelerator": "cpu"}, FAST, [replace(GPU, has_bfloat16=True)], Arithmetic("bfloat16", "cpu")),
        ({"accelerator": "gpu"}, FAST, [], Arithmetic("bfloat16", "gpu")),
    ],
    ids=[
        "this machine", "this machine without it", "a head of another kind", "one node without it", "emulated",
        "as the user wants", "GPUs", "a GPU without it", "GPUs that are left aside", "GPUs to come",
    ],
)  # fmt: skip
def test_the_choice_is_the_fastest_that_all_nodes_have(
    keys: dict[str, str], own: NodeReport, nodes: list[NodeReport], expected: Arithmetic
) -> None:
    found = choice(Execution(**keys), own, nodes)  # type: ignore[arg-type]
    assert Arithmetic(found.precision, found.device) == expected


def test_a_run_in_this_process_waits_for_no_gpu() -> None:
    with pytest.raises(ResourceError, match="this machine has no GPU that torch can use"):
        choice(Execution("local", accelerator="gpu"), SLOW, [])


def test_a_later_start_keeps_what_is_stored_and_names_what_differs(tmp_path: Path) -> None:
    store, lines = Store(str(tmp_path)), list[str]()
    assert decided(store, Execution(), FAST, [], lines.append) == Arithmetic(
        "bfloat16", "cpu", Shared(str(Processor()))
    )
    assert lines == []
    other = replace(SLOW, versions={"numpy": "2.5.0"})
    found = decided(store, Execution(precision="float32", accelerator="gpu"), other, [], lines.append)
    assert found == Arithmetic("bfloat16", "cpu", Shared(str(Processor())))
    assert lines == [
        "--precision float32 is left aside: this run computes with bfloat16 since its start",
        "--accelerator gpu is left aside: this run computes with cpu since its start",
        "this run computes in bfloat16, which some processors here emulate: slower",
        "this run started with other versions (numpy 2.4.0 -> 2.5.0): last digits of scores can differ between its shards",
    ]


def test_a_damaged_record_is_named_and_decided_again(tmp_path: Path) -> None:
    store, lines = Store(str(tmp_path)), list[str]()
    decided(store, Execution(), FAST, [], lines.append)
    whole = (tmp_path / ARITHMETIC).read_bytes()
    (tmp_path / ARITHMETIC).write_bytes(whole.replace(b"bfloat16", b"bfloat17"))
    assert decided(store, Execution(), FAST, [], lines.append) == Arithmetic(
        "bfloat16", "cpu", Shared(str(Processor()))
    )
    assert len(lines) == 1
    assert lines[0].startswith(f"{tmp_path}/{ARITHMETIC} was changed or damaged")
    assert (tmp_path / ARITHMETIC).read_bytes() == whole


ZEN, ICE = Processor("AuthenticAMD", "25/17", "avx512"), Processor("GenuineIntel", "6/106", "avx512")


def test_nodes_of_two_kinds_share_instructions_and_one_kind_sets_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(ADDRESS, "10.0.0.1:6379")
    monkeypatch.setattr(module, "take", lambda variables: True)
    alike, other = replace(SLOW, processor=ZEN), replace(SLOW, processor=ICE)
    head = replace(other, is_worker=False)
    assert choice(Execution(), head, [alike, alike]).shared == Shared(str(ZEN))
    assert choice(Execution(), replace(head, is_worker=True), [alike]).shared.variables, "a head with CPUs works, too"
    assert choice(Execution(), head, []).shared == Shared(), "from no node, the first worker decides"
    mixed = decided(Store(str(tmp_path)), Execution(), head, [alike, other], [].append)
    assert mixed.shared.variables == {
        "ATEN_CPU_CAPABILITY": "avx512", "ONEDNN_MAX_CPU_ISA": "AVX512_CORE", "MKL_CBWR": "COMPATIBLE",
    }  # fmt: skip
    assert decided(Store(str(tmp_path)), Execution(), head, [alike], [].append) == mixed, "a later start keeps it"


def test_a_run_that_takes_any_processor_from_now_on_computes_its_scores_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "take", lambda variables: False)
    store, lines = Store(str(tmp_path)), list[str]()
    own = replace(SLOW, processor=ZEN)
    decided(store, Execution("local"), own, [], lines.append)
    for name in ("ingest", "knn", "topk", "relations", "edges", "labels"):
        store.put(f"stages/{name}/f/done/00000.json", b"{}")
    lines.clear()
    found = decided(store, Execution("local", processors="any"), own, [], lines.append)
    assert found.shared == common("avx2", is_intel=False, is_native=False)
    assert sorted(path.name for path in (tmp_path / "stages").iterdir()) == ["ingest", "knn"]
    assert lines == [
        "--processors any: scores are computed again, with instructions that x86 processors share",
        "torch was loaded before: scores of this process may differ in their last digits from those of workers",
    ]
    store.put("stages/relations/f/done/00000.json", b"{}")
    decided(store, Execution("local", processors="any"), own, [], lines.append)
    assert (tmp_path / "stages" / "relations").exists(), "what was computed so is kept"


def test_another_machine_that_goes_on_alone_is_named(tmp_path: Path) -> None:
    store, lines = Store(str(tmp_path)), list[str]()
    decided(store, Execution("local"), replace(SLOW, processor=ZEN), [], lines.append)
    decided(store, Execution("local"), replace(SLOW, processor=ICE), [], lines.append)
    assert lines == [
        "this machine has another kind of processor (GenuineIntel 6/106 with avx512) than the nodes that this run started on "
        "(AuthenticAMD 25/17 with avx512): last digits of scores can differ between its shards"
    ]

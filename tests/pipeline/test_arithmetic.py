"""The arithmetic of a run: the fastest that all nodes have, stored once and kept by every later start."""

from dataclasses import replace
from pathlib import Path

import pytest

from raycluster.config.execution import Execution
from raycluster.errors import ResourceError
from raycluster.executors.node_report import NodeReport
from raycluster.models.arithmetic import Arithmetic
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
    assert choice(Execution(**keys), own, nodes) == expected  # type: ignore[arg-type]


def test_a_run_in_this_process_waits_for_no_gpu() -> None:
    with pytest.raises(ResourceError, match="this machine has no GPU that torch can use"):
        choice(Execution("local", accelerator="gpu"), SLOW, [])


def test_a_later_start_keeps_what_is_stored_and_names_what_differs(tmp_path: Path) -> None:
    store, lines = Store(str(tmp_path)), list[str]()
    assert decided(store, Execution(), FAST, [], lines.append) == Arithmetic("bfloat16", "cpu")
    assert lines == []
    other = replace(SLOW, versions={"numpy": "2.5.0"})
    found = decided(store, Execution(precision="float32", accelerator="gpu"), other, [], lines.append)
    assert found == Arithmetic("bfloat16", "cpu")
    assert lines == [
        "--precision float32 is left aside: this run computes with bfloat16 since its start",
        "--accelerator gpu is left aside: this run computes with cpu since its start",
        "this run computes in bfloat16, which some processors here emulate: slower, with the same scores",
        "this run started with other versions (numpy 2.4.0 -> 2.5.0): last digits of scores can differ between its shards",
    ]


def test_a_damaged_record_is_named_and_decided_again(tmp_path: Path) -> None:
    store, lines = Store(str(tmp_path)), list[str]()
    decided(store, Execution(), FAST, [], lines.append)
    whole = (tmp_path / ARITHMETIC).read_bytes()
    (tmp_path / ARITHMETIC).write_bytes(whole.replace(b"bfloat16", b"bfloat17"))
    assert decided(store, Execution(), FAST, [], lines.append) == Arithmetic("bfloat16", "cpu")
    assert len(lines) == 1
    assert lines[0].startswith(f"{tmp_path}/{ARITHMETIC} was changed or damaged")
    assert (tmp_path / ARITHMETIC).read_bytes() == whole
